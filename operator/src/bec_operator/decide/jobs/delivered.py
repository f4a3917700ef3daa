"""What a Job says of its results: whether all who are to get them have them."""

from bec_operator.api.job import JobStatus
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.outbox import MOST_LEFT_OUT
from bec_operator.decide.sight.moments import iso

DELIVERED = "ResultsDelivered"
LATE_AFTER = 60.0  # seconds that results may wait before it is worth a word


def stand_of(memory: Memory) -> object:
    """Return how the job stands, as far as it is told to others."""
    status = memory.job.status
    workers = status.pool.workers if status.pool is not None else 0
    return status.phase, status.counts, status.completion_time, status.rate, status.eta, workers


def told_of_results(memory: Memory, now: float, *, over: bool) -> dict[str, tuple[bool, str, str]]:
    """Return what the condition `ResultsDelivered` should say, if anybody gets any.

    `over`: the job has ended, or is about to say so. Then all have to have all.
    """
    return {DELIVERED: _verdict(memory, now, over=over)} if [*memory.outbox.receivers] else {}


def without_results(memory: Memory, status: JobStatus) -> JobStatus:
    """Return a status that says nothing of results any more, where nobody is to get any."""
    if [*memory.outbox.receivers]:
        return status
    kept = [condition for condition in status.conditions if condition.type != DELIVERED]
    return status.model_copy(update={"conditions": kept})


def _verdict(memory: Memory, now: float, *, over: bool) -> tuple[bool, str, str]:
    outbox = memory.outbox
    for to, delivery in outbox.deliveries.items():
        if delivery.trouble is not None and to in outbox.receivers:
            since = f"since {iso(outbox.since)} " if outbox.since is not None else ""
            said = f"results wait {since}for {to}: {delivery.trouble.message}"
            return False, delivery.trouble.reason, said
    if outbox.since is not None and now - outbox.since >= LATE_AFTER:
        return False, "Late", f"results wait since {iso(outbox.since)}"
    if over and not _has_all(memory):
        return False, "Delivering", "the last results are on their way"
    return True, *_told_of_left_out(memory)


def _has_all(memory: Memory) -> bool:
    """Whether each receiver has all results, and knows that the job has ended, and how."""
    outbox, stand = memory.outbox, stand_of(memory)
    told = all(outbox.delivery(to).stand == stand for to in outbox.receivers)
    if not (told and outbox.listed and outbox.notice is None):
        return False
    return not outbox.parts or (outbox.since is None and outbox.stays)


def _told_of_left_out(memory: Memory) -> tuple[str, str]:
    """Return reason and message where all is delivered that could be."""
    outbox = memory.outbox
    number = sum(len(outbox.delivery(to).left_out) for to in outbox.receivers)
    if number:
        first = next(said for d in outbox.deliveries.values() for said in d.left_out)
        many = f"at least {number}" if number >= MOST_LEFT_OUT else f"{number}"
        results = "1 result" if number == 1 else f"{many} results"
        return "ResultsLeftOut", f"{results} could not be told; the first: {first}"
    if outbox.undeletable is not None:
        return "Delivered", f"delivered parts stay in S3: {outbox.undeletable.message}"
    return "Delivered", ""
