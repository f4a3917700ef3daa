"""The life of one task: from what is seen of it to what to do about it."""

from collections.abc import Iterator

from bec_operator.api.names import pod_name
from bec_operator.api.volume_task import Attempt, TaskPhase, VolumeTaskStatus
from bec_operator.decide.attempts.actions import (
    CreatePod,
    DeletePod,
    HandTask,
    KeepLog,
    RecordTask,
    Settle,
)
from bec_operator.decide.attempts.blame import judged
from bec_operator.decide.attempts.ending import Ending, claims_misconfigured, classify, says_done
from bec_operator.decide.attempts.folding import fold
from bec_operator.decide.attempts.retrying import delay, is_final
from bec_operator.decide.attempts.running import accompany, is_record_due, share_done
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.hosts.actions import GuardWorker
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass, class_of
from bec_operator.decide.sight.moments import iso, precise
from bec_operator.decide.sight.seen import (
    Fact,
    MarkerSeen,
    MarkerState,
    PodSeen,
    TaskSeen,
    failures_of,
)
from bec_operator.decide.volumes.actions import ReadMarker
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.location import may_be_log_of

TRY_NAME_AFTER = 3.0  # seconds between two tries for a name that somebody else has
LOOK_AGAIN_AFTER = 5.0  # seconds between two looks for a marker that may yet show
LINGER = 30.0  # seconds that a worker may take to end after its marker was seen
_OTHERS_LOG = "none: another attempt has written the marker"
_UNTOLD = {MarkerState.UNKNOWN, MarkerState.ARCHIVED}
_NO_MARKER = {MarkerState.ABSENT, MarkerState.INVALID}


def decide_task(view: TaskView) -> Iterator[Action]:
    """Say what to do about a task that the ledger does not yet know the end of."""
    task, pod = view.task, view.pod
    if view.reading is not None and view.reading.state is MarkerState.VALID:
        yield Settle(task, Outcome.SUCCEEDED)
    elif is_final(task.failures, view.limits.budget):
        yield Settle(task, Outcome.FAILED, task.failures[-1])
    elif task.deleting:
        return
    elif pod is None and view.impossible:
        yield from _conclude(view, None, since=0.0)
    elif pod is None and view.missed is not None:
        yield from _conclude(view, None, view.missed)
    elif pod is None:
        yield from _launch(view)
    elif pod.worker_ended:
        yield from _conclude(view, pod, pod.seen_ended or view.now)
    else:
        yield from _accompany(view, pod)


def _launch(view: TaskView) -> Iterator[Action]:
    older = [view.pods.get(pod_name(view.task.name, a.number)) for a in view.task.failed]
    alive = [p for p in older if p is not None and p.alive and p.owner_uid == view.task.uid]
    for pod in alive:
        if not pod.deleting:
            yield DeletePod(pod)  # its worker has ended, a sidecar has not
    if alive or not view.may_launch or is_blocked(view.blocked, view.now):
        return
    if view.own and not view.old_pods_until:
        yield _begin(view)
    elif _may_ask(view, view.old_pods_until):
        # A task from before a restart: its pod may have come, succeeded and gone unseen. And a pod
        # of an older task may have left a marker until the moment when it was last seen.
        yield ReadMarker(view.task.index)
    elif view.reading is not None and view.reading.state in _NO_MARKER:
        yield _begin(view)


def _begin(view: TaskView) -> Action:
    """Make the pod of the attempt, or hand it to the worker of the pool that is to have it."""
    if view.host is None:
        return CreatePod(view.task, view.attempt)
    if not view.host.pod.guarded:
        return GuardWorker(view.host.pod, guarded=True)
    assert view.host.worker is not None
    return HandTask(view.task, view.attempt, view.host.pod, view.host.worker)


def is_blocked(blocked: Fact | None, now: float) -> bool:
    """Whether a name was taken so lately that it is not worth another try."""
    return blocked is not None and now - blocked.at < TRY_NAME_AFTER


def _may_ask(view: TaskView, since: float) -> bool:
    """Whether a look at the marker is due: none since `since` that could tell."""
    return view.reading is None or view.reading.asked < since or (view.reading.state in _UNTOLD)


def _accompany(view: TaskView, pod: PodSeen) -> Iterator[Action]:
    if is_record_due(view, pod):
        attempts = [*view.task.failed, attempt_of(view.attempt, pod, view.task)]
        progress = view.worker.progress if view.worker is not None else None
        status = VolumeTaskStatus(
            phase=TaskPhase.RUNNING,
            attempt=view.attempt,
            node=pod.node,
            progress=str(progress) if progress is not None else "",
            output=view.locate(view.task.index),
            attempts=attempts,
        )
        yield RecordTask(view.task, status, share=share_done(view))
    yield from accompany(view, pod)


def _conclude(view: TaskView, pod: PodSeen | None, since: float) -> Iterator[Action]:
    """The attempt is over: only a marker that was looked for afterwards says how."""
    if _may_ask(view, since):
        yield ReadMarker(view.task.index)
        return
    assert view.reading is not None
    stopped = pod.stopped if pod is not None else None
    verdict = view.impossible or view.verdict or stopped or view.superseded
    ending = Ending(pod, view.reading, view.worker, verdict, view.gone)
    if says_done(ending) and view.now < since + view.marker_shows:
        if view.now - view.reading.asked >= LOOK_AGAIN_AFTER:
            yield ReadMarker(view.task.index)
        return
    if view.log is None:
        yield KeepLog(view.task, view.attempt, pod)
        return
    failure, message = classify(ending)
    last = pod or view.gone
    ended = attempt_of(view.attempt, last, view.task).model_copy(
        update={
            "failure": failure.label,
            "message": message,
            "exit_code": pod.exit_code if pod else None,
            "end_time": pod.end_time if pod else None,
            "log": view.log,
        }
    )
    attempts = fold(
        judged([*view.task.failed, ended], view.task.index, view.limits.budget, view.hosts)
    )
    failures, failure = failures_of(attempts), class_of(attempts[-1].failure)
    message = attempts[-1].message
    final = is_final(failures, view.limits.budget)
    pause = delay(view.backoff, failures, view.task.uid)
    yield RecordTask(
        view.task,
        VolumeTaskStatus(
            phase=TaskPhase.FAILED if final else TaskPhase.RETRYING,
            attempt=view.attempt,
            node=ended.node,
            progress=view.task.progress,
            message=message,
            output=view.locate(view.task.index),
            next_attempt=iso(view.now + pause) if pause and not final else None,
            finished_at=precise(view.now) if final else None,
            attempts=attempts,
        ),
        failed=failure,
        gone=pod is None,
        claims=claims_misconfigured(pod, failure),
        stalls=failure is FailureClass.MISCONFIGURED
        and (last is None or last.generation == str(view.generation)),
    )


def attempt_of(number: int, pod: PodSeen | None, task: TaskSeen | None = None) -> Attempt:
    """Return an attempt as far as its pod tells of it, or, in a pool, what is on record."""
    if pod is None or pod.seat_in:
        recorded = task.recorded_begun if task is not None else None
        name = pod_name(task.name, number) if task is not None else ""
        return recorded or Attempt(number=number, pod=name)
    return Attempt(
        number=number,
        pod=pod.name,
        pod_uid=pod.uid,
        node=pod.node,
        generation=int(pod.generation) if pod.generation.isdecimal() else None,
        start_time=pod.start_time,
    )


def failure_status(view: TaskView) -> VolumeTaskStatus:
    """Return the status of a task that failed and stays to be looked at."""
    last = view.task.failed[-1]
    return VolumeTaskStatus(
        phase=TaskPhase.FAILED,
        attempt=last.number,
        node=last.node,
        message=last.message,
        output=view.locate(view.task.index),
        finished_at=precise(view.task.ended_at or view.now),
        attempts=view.task.failed,
    )


def succeeded_attempt(
    task: TaskSeen, pod: PodSeen | None, reading: MarkerSeen | None, output: str
) -> Attempt:
    """Return the last attempt of a task whose marker stands at `output`.

    `pod` is its pod, or as that was when it went.
    """
    ended = attempt_of(task.attempt, pod, task)
    if reading is not None and (log := reading.log):
        own = may_be_log_of(log, task.attempt, task.uid)
        ended = ended.model_copy(update={"log": output + log if own else _OTHERS_LOG})
    return ended


def success_status(view: TaskView) -> VolumeTaskStatus:
    """Return the status of a task that succeeded and stays to be looked at."""
    output = view.locate(view.task.index)
    ended = succeeded_attempt(view.task, view.pod or view.gone, view.reading, output)
    if view.pod is not None:
        ended = ended.model_copy(
            update={"end_time": view.pod.end_time, "exit_code": view.pod.exit_code}
        )
    return VolumeTaskStatus(
        phase=TaskPhase.SUCCEEDED,
        attempt=view.attempt,
        node=ended.node,
        progress="100%",
        message=view.reading.message if view.reading is not None else "",
        output=output,
        finished_at=precise(view.now),
        attempts=[*view.task.failed, ended],
    )
