"""Attempts in workers of a pool, or from elsewhere, each seen as if it had a pod: its seat.

So one set of rules is enough: what the pod of a volume is to its attempt, a seat is to its.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bec_operator.api.names import pod_name
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.outside import Tenure, end_of_lease, host_on_record
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import lenient
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import PodSeen, Report, TaskSeen, WorkerSeen

REPLACED_AFTER = 10.0  # seconds after which a new process is believed without its pod's word
CLOCKS = 60.0  # seconds that a node's clock may be behind ours


_Inputs = tuple[TaskSeen, PoolPod, PoolWorker | None, WorkerSeen | None]


@dataclass(slots=True)
class Seating:
    """When this process first saw the attempt of a task in its seat, and its end there.

    `kept` is the seat as it was made last, and of what: it is the same as long as that is.
    `tenure` is of attempts in workers from elsewhere.
    """

    taken: tuple[int, float] | None = None  # number of the attempt, and the moment
    ended: tuple[int, float] | None = None
    kept: tuple[_Inputs, PodSeen] | None = None
    tenure: Tenure = field(default_factory=Tenure)


def seats_of(
    tasks: Iterable[TaskSeen],
    hosts: Mapping[str, PoolPod],
    worker_of: Callable[[str], PoolWorker | None],
    told_of: Callable[[str], WorkerSeen | None],
    seating_of: Callable[[TaskSeen], Seating],
    now: float,
    turned_away: float = 0.0,
) -> dict[str, PodSeen]:
    """Return the seats of those of `tasks` that have one, by name. `hosts` are by UID.

    `worker_of` gives the process in the pod of a UID, `told_of` what was told of a task's attempt,
    `seating_of` what is remembered of its seat; `turned_away` is when calls were last not heard.
    """
    found = {}
    for task in tasks:
        attempt = task.recorded_begun
        if attempt is None or task.terminal or not attempt.session:
            continue
        host = host_on_record(task, attempt) or hosts.get(attempt.pod_uid)
        if host is None:
            continue
        seen = (task, host, worker_of(host.uid), told_of(task.uid))
        seat = _seat(attempt, seen, seating_of(task), now, turned_away)
        found[seat.name] = seat
    return found


def _seat(
    attempt: Attempt, seen: _Inputs, seating: Seating, now: float, turned_away: float
) -> PodSeen:
    """Return the seat of an attempt; the one of the last look if nothing has changed."""
    kept, (task, host, worker, told) = seating.kept, seen
    if kept is not None and all(map(operator.is_, kept[0], seen)):
        return kept[1]
    seating.taken, since = _since(seating.taken, attempt.number, now)
    seat = replace(
        seat_of(task, attempt.number, host),
        generation=str(attempt.generation or ""),
        redo_at=int(lenient(attempt.redo_at)),
        start_time=attempt.start_time,
        called_since=lenient(attempt.start_time) or None,
        seen_first=since,
        seen_running=since,
        stopped=seating.tenure.stopped(attempt.number),
    )
    end = _end(task, host, worker, told, now)
    if end is None and attempt.lease_seconds:
        mine = _of_attempt(told, attempt, host)
        heard = max(since, turned_away, mine.called if mine is not None else 0.0)
        end = end_of_lease(attempt, seating.tenure, heard, now)
    if end is not None:
        follows = worker is not None and worker.session != attempt.session
        seating.ended, ended = _since(seating.ended, attempt.number, now)
        return replace(
            _with_end(seat, end),
            worker_ended=True,
            seen_ended=ended,
            succeeded_by_another=follows or (host.runs and not isinstance(end, Report)),
        )
    seating.ended = None
    stays = worker is not None and worker.session == attempt.session and not _is_quiet(host)
    if stays and not attempt.lease_seconds:
        seating.kept = (seen, seat)  # the same whenever it is looked at
    return seat


def _since(
    known: tuple[int, float] | None, number: int, now: float
) -> tuple[tuple[int, float], float]:
    """Return what is to be remembered of the attempt of a number, and since when it is so."""
    if known is None or known[0] != number:
        known = (number, now)
    return known, known[1]


def seat_of(task: TaskSeen, attempt: int, host: PoolPod) -> PodSeen:
    """Return the pod of a pool as the one of an attempt in it, which has not ended.

    How the last process in it has ended may be of another attempt, so that is left out.
    """
    return replace(
        host.pod,
        name=pod_name(task.name, attempt),
        task=task.name,
        owner_uid=task.uid,
        seat_in=host.name,
        worker_ended=False,
        exit_code=None,
        reason="",
        message="",
        reported=None,
        end_time=None,
        seen_ended=None,
    )


def _end(
    task: TaskSeen,
    host: PoolPod,
    worker: PoolWorker | None,
    told: WorkerSeen | None,
    now: float,
) -> PodSeen | Report | None:
    """Return what ended the attempt: the end of its process, or its word; None if it may go on."""
    attempt = task.recorded_begun
    assert attempt is not None
    mine = _of_attempt(told, attempt, host)
    if mine is not None and mine.report is not None:
        return mine.report
    if worker is None or worker.session != attempt.session:
        return _of_process(attempt, host, worker, now)
    if (task.uid, attempt.number) in worker.left:
        message = "its worker has gone on to another volume"
        return Report(now, FailureClass.INTERRUPTED, message)
    # What its pod was seen to do may be from before it registered.
    settled = now - worker.registered >= REPLACED_AFTER or not host.pod.alive
    return (host.ended or host.pod) if settled and _is_quiet(host) else None


def _of_attempt(told: WorkerSeen | None, attempt: Attempt, host: PoolPod) -> WorkerSeen | None:
    """Return what was told of this very attempt, if anything was."""
    same = told is not None and (told.attempt, told.pod_uid) == (attempt.number, host.uid)
    return told if same else None


def _of_process(
    attempt: Attempt, host: PoolPod, worker: PoolWorker | None, now: float
) -> PodSeen | Report | None:
    """Judge the attempt of a process that we do not know, or that another one has taken over."""
    if _is_quiet(host):
        return host.ended or host.pod
    if worker is None:
        return None  # a restart of ours: it will call
    if host.ended is not None and _is_later(host.ended.end_time, attempt.start_time):
        return host.ended
    if now - worker.registered < REPLACED_AFTER:
        return None  # its pod has not yet told how it ended
    message = "the worker's process has ended, and another one has taken its place"
    return Report(now, FailureClass.RETRYABLE, message)


def _is_quiet(host: PoolPod) -> bool:
    return host.pod.worker_ended or not host.runs


def _with_end(seat: PodSeen, end: PodSeen | Report) -> PodSeen:
    if isinstance(end, Report):
        return replace(seat, report=end)
    return replace(
        seat,
        exit_code=end.exit_code,
        reason=end.reason,
        message=end.message,
        reported=end.reported,
        end_time=end.end_time,
    )


def _is_later(end: str | None, start: str | None) -> bool:
    return end is None or start is None or lenient(end) >= lenient(start) - CLOCKS
