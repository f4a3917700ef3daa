"""Workers from elsewhere, each seen as a pod of a pool that is of no Deployment.

So one set of rules is enough for them, too. What is different: nobody sees how they end. A worker
of which nothing is heard for as long as its lease has lost its volume, for good.
"""

from dataclasses import dataclass

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import duration
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.seen import PodSeen, Report, TaskSeen, Verdict

SEAT_MARK = "/"
"""Between the id of a worker and its seat, in what stands for the UID of a pod."""


def seat_uid(worker: str, seat: str) -> str:
    """Return what tells a seat of a worker apart: the UID of the pod that it has not got."""
    return f"{worker}{SEAT_MARK}{seat}" if seat else worker


def worker_of(uid: str) -> str:
    """Return the id of the worker whose seat it is; the UID itself if it is a pod's."""
    return uid.partition(SEAT_MARK)[0]


def seat_in(uid: str) -> str:
    """Return the seat of the worker whose it is; empty if it has but one."""
    return uid.partition(SEAT_MARK)[2]


def outside_host(
    namespace: str, job: str, uid: str, name: str, lease: float, volume: int | None = None
) -> PoolPod:
    """Return a seat of a worker that people know by `name`, for a Job. `lease` is in seconds.

    `volume` is the index of the one that it asks for, None: it takes any.
    """
    pod = PodSeen(
        namespace=namespace,
        name=name,
        uid=uid,
        version=0,
        job=job,
        task="",
        owner_uid="",
        phase="Running",
        lease=lease,
    )
    return PoolPod(pod, pool="", ready=True, guarded=True, runs=True, volume=volume)


def host_on_record(task: TaskSeen, attempt: Attempt) -> PoolPod | None:
    """Return the host of an attempt in a worker from elsewhere, None if it is in a pod.

    What stands on record is all that is needed, so that an operator that starts knows it.
    """
    if not attempt.lease_seconds:
        return None
    name, lease = attempt.pod, attempt.lease_seconds
    return outside_host(task.namespace, task.job, attempt.pod_uid, name, lease)


@dataclass(slots=True)
class Tenure:
    """What has become of an attempt's right to its volume, in a worker from elsewhere.

    `lapsed` is the number of the attempt whose lease has run out. It stays so if the worker calls
    again: its volume may be another's.
    """

    lapsed: int = 0
    _stopped: tuple[int, Verdict, float] | None = None

    def stop(self, attempt: int, verdict: Verdict, now: float) -> None:
        """Take in that we end an attempt: its worker hears it as it calls."""
        if self.stopped(attempt) is None:
            self._stopped = (attempt, verdict, now)

    def stopped(self, attempt: int) -> Verdict | None:
        """Return why we have ended the attempt of this number, if we have."""
        return self._stopped[1] if self._stopped and self._stopped[0] == attempt else None

    def stopped_since(self, attempt: int) -> float | None:
        """Return since when we want the attempt of this number to end, if we do."""
        return self._stopped[2] if self._stopped and self._stopped[0] == attempt else None


def end_of_lease(attempt: Attempt, tenure: Tenure, heard: float, now: float) -> Report | None:
    """Return how an attempt ends of whose worker nothing more comes; None while it may go on.

    `heard` is when the worker was last heard. One that goes on calling though it was told to stop
    has no longer to do so than if it was silent.
    """
    assert attempt.lease_seconds is not None
    lease = attempt.lease_seconds
    since = tenure.stopped_since(attempt.number)
    if tenure.lapsed == attempt.number or now - heard >= lease:
        tenure.lapsed = attempt.number
        said = f"nothing was heard of worker {attempt.pod} for {duration(lease)}: its lease is over"
        return Report(now, FailureClass.DISRUPTED, said)
    if since is not None and now - since >= lease:
        tenure.lapsed = attempt.number
        return Report(now, FailureClass.DISRUPTED, f"worker {attempt.pod} did not stop")
    return None
