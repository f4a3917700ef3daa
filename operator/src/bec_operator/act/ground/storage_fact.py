"""What a call that S3 did not answer well says about the storage."""

from bec_operator.decide.sight.refusals import (
    MARKER_ARCHIVED,
    MARKER_UNANSWERED,
    STORAGE_FORBIDDEN,
)
from bec_operator.decide.sight.seen import Fact
from bec_ops.contract.s3.store import Reason, StoreError

_REASONS: dict[Reason, str] = {
    "Unavailable": "StorageUnavailable",
    "Forbidden": STORAGE_FORBIDDEN,
    "KeyRefused": "OutputImpossible",
    "KeyUnanswered": MARKER_UNANSWERED,
    "Archived": MARKER_ARCHIVED,
}


def storage_fact(error: StoreError, now: float) -> Fact:
    """Return what a call that S3 did not answer well says about the storage."""
    return Fact(now, _REASONS.get(error.reason, error.reason), str(error))
