"""What the objects in the API server say, as a reader of them understands it."""

from bec_operator.api.job import JobStatus
from bec_operator.api.names import STOPPED_CONDITION
from bec_operator.api.volume_task import VolumeTaskStatus
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.failures import FailureClass, class_of
from bec_ops.contract.protocol import AUDIENCE
from tests.unit.decide.fake_api import Object


def wanted_uid(options: Object | None) -> str:
    """Return the UID that a deletion is meant for."""
    return str((options or {}).get("preconditions", {}).get("uid", ""))


def uid(found: Object) -> str:
    """Return the UID of an object."""
    return str(found["metadata"]["uid"])


def failures(task: Object) -> list[FailureClass]:
    """Return the classes of the attempts whose end is recorded."""
    status = VolumeTaskStatus.model_validate(task.get("status") or {})
    return [class_of(a.failure) for a in status.attempts if a.failure]


def verdict(pod: Object) -> str:
    """Return why an operator has ended a pod, as its object says; empty if none has."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((str(c["reason"]) for c in conditions if c["type"] == STOPPED_CONDITION), "")


def is_misconfigured(status: JobStatus, generation: int) -> bool:
    """Whether a Job says that its workers cannot be set up by the spec of this generation."""
    stalled = find(status, "Stalled")
    return (
        stalled is not None
        and (stalled.status, stalled.reason) == ("True", "Misconfigured")
        and stalled.observed_generation == generation
    )


def check_credentials(pod: Object) -> None:
    """Rule 9: a worker's only Kubernetes credential is the token of our audience."""
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False, "rule 9: a token is mounted"
    tokens = [
        source["serviceAccountToken"]
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]
    assert [token.get("audience") for token in tokens] == [AUDIENCE], f"rule 9: {tokens}"
