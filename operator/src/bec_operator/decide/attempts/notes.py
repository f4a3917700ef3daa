"""What is known of a task's attempt beside its pod."""

from dataclasses import dataclass

from bec_operator.decide.attempts.view import Told
from bec_operator.decide.sight.seen import Fact, Verdict, WorkerSeen


@dataclass(slots=True)
class Notes:
    """What is known of the attempts at one task, each with the number of the attempt."""

    worker: WorkerSeen | None = None
    verdict: tuple[int, Verdict] | None = None  # why we have ended it
    log: tuple[int, str] | None = None  # where its log is, or why it is lost
    heard: tuple[int, Fact] | None = None  # what the kubelet says of its start, if anything
    probed: float = 0.0  # when a heartbeat was last written on the pod
    told: Told | None = None  # what the VolumeTask says of its progress
