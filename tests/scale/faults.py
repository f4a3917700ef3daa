"""Which volumes go wrong, and how: the same in every run, whoever asks."""

from enum import Enum
from hashlib import sha256

from bec_operator.decide.sight.failures import FailureClass
from bec_ops.contract.volume import Volume

SHARE = 0.02  # of the volumes of each job
HOPELESS = "hopeless"  # with this a job_id begins if all of its volumes fail


class Fault(Enum):
    """What happens to a volume; the value is the class of its attempts that fail."""

    ERROR = FailureClass.RETRYABLE  # exit 1, each time
    TERMINAL = FailureClass.TERMINAL  # exit 65
    MEMORY = FailureClass.OUT_OF_MEMORY  # killed for its memory, each time
    UNMARKED = FailureClass.MARKER_MISSING  # exit 0 without a marker, each time
    EVICTED = FailureClass.DISRUPTED  # thrown off its node once, and well afterwards

    @property
    def lasts(self) -> bool:
        """Whether the volume fails for good."""
        return self is not Fault.EVICTED


def fault_of(job_id: str, volume: Volume) -> Fault | None:
    """Return what goes wrong with a volume of a job; None for most of them."""
    if job_id.startswith(HOPELESS):
        return Fault.TERMINAL
    number = int.from_bytes(sha256(f"{job_id} {volume}".encode()).digest()[:8], "big")
    chance, choice = number % 10_000, number // 10_000
    return list(Fault)[choice % len(Fault)] if chance < SHARE * 10_000 else None


def lasting_faults(job_id: str, volumes: list[Volume]) -> dict[Volume, Fault]:
    """Return the volumes that fail for good, each with its fault."""
    faults = ((volume, fault_of(job_id, volume)) for volume in volumes)
    return {volume: fault for volume, fault in faults if fault is not None and fault.lasts}
