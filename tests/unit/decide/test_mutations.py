"""The tests have teeth: each rule's code is broken on purpose, and a test must notice.

Each time it is a scenario, which goes the same way in every run; what nearly any example shows is
left to the state machine, so that its guard is known to be awake.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bec_operator.act.ground.known_objects import KnownObjects
from bec_operator.act.ground.task_workers import TaskWorkers
from bec_operator.act.kube.pod_spec import task_pod
from bec_operator.act.storage import markers
from bec_operator.act.storage import save_results as act_ledger
from bec_operator.act.volumes import growth as act_growth
from bec_operator.act.volumes.frozen import put_manifest
from bec_operator.act.volumes.manifest import ledger_object
from bec_operator.api.job import JobStatus
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.attempts import lost_nodes as lost
from bec_operator.decide.attempts import running, task, timeouts
from bec_operator.decide.attempts.actions import Settle
from bec_operator.decide.attempts.record import TaskRecord
from bec_operator.decide.attempts.retrying import Budget, is_final
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.jobs import checks, job, saving, status, viewing
from bec_operator.decide.jobs import launches as job_launches
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.lists.growth import is_list_quiet
from bec_operator.decide.memory import marker_findings as readings
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.conditions import conditions
from bec_operator.decide.sight.failures import RULES, FailureClass, Rule
from bec_operator.decide.sight.seen import MarkerSeen, MarkerState, PodSeen, Verdict
from bec_operator.decide.slots.filling import Launches, launches
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.failure_report import FailureReport
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.worker_api.callers.caller import Caller
from bec_operator.worker_api.callers.sessions import Sessions
from tests.unit.decide import list_scenarios, scenarios
from tests.unit.decide.machine import OperatorMachine
from tests.unit.decide.scenarios import SCENARIOS, Play

Patch = Callable[[pytest.MonkeyPatch], None]


def _marker_ignored(patch: pytest.MonkeyPatch) -> None:
    """A look from before the attempt's end will do."""
    patch.setattr(task, "says_done", lambda _: False)
    patch.setattr(task, "_may_ask", lambda view, _: view.reading is None)


def _restart_not_doubted(patch: pytest.MonkeyPatch) -> None:
    """A task of an earlier process is launched as if its pod could not have come and gone."""

    def view(**seen: Any) -> TaskView:
        return TaskView(**{**seen, "own": True})

    patch.setattr(viewing, "TaskView", view)


def _unknown_is_absent(patch: pytest.MonkeyPatch) -> None:
    note = readings.note_reading

    def wrong(memory: Memory, index: int, reading: MarkerSeen, *_: Any) -> None:
        unknown = reading.state is MarkerState.UNKNOWN
        note(memory, index, replace(reading, state=MarkerState.ABSENT) if unknown else reading)

    patch.setattr(markers, "note_reading", wrong)


def _blind_between_passes(patch: pytest.MonkeyPatch) -> None:
    """What came and went before a pass could see it was never there."""
    patch.setattr(TaskRecord, "note_begun", lambda *_: None)


def _lost_answer_not_doubted(patch: pytest.MonkeyPatch) -> None:
    """A request that brought no answer has done nothing."""
    patch.setattr(TaskRecord, "doubt", lambda *_: None)


def _old_pod_not_awaited(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PodSeen, "alive", False)


def _deleted_before_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "is_stored", lambda *_: True)


def _not_reported(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> bool:
        return True

    patch.setattr(act_ledger, "_report_failures", nothing)


def _ledger_overwritten(patch: pytest.MonkeyPatch) -> None:
    """The ledger is stored, whoever has written it meanwhile."""
    patch.setattr(
        "bec_operator.act.storage.save_results.ledger_object",
        lambda memory, ledger, _: ledger_object(memory, ledger),
    )


def _one_attempt_too_many(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "bec_operator.decide.attempts.task.is_final",
        lambda failures, budget: is_final(failures, Budget(budget.limit + 1)),
    )


def _window_one_too_wide(patch: pytest.MonkeyPatch) -> None:
    _change_window(patch, 1)


def _window_never_filled(patch: pytest.MonkeyPatch) -> None:
    _change_window(patch, -1)


def _change_window(patch: pytest.MonkeyPatch, more: int) -> None:
    def wrong(memory: Memory, standings: Standings, room: Room, now: float) -> Launches:
        most = room.parallelism + more
        return launches(memory, standings, replace(room, parallelism=most, allowed=most), now)

    patch.setattr(job_launches, "launches", wrong)


def _counted_twice(patch: pytest.MonkeyPatch) -> None:
    counts = status._counts

    def wrong(memory: Memory, tally: Tally) -> Any:
        right = counts(memory, tally)
        return right.model_copy(update={"waiting": right.waiting + tally.running})

    patch.setattr(status, "_counts", wrong)


def _restless(patch: pytest.MonkeyPatch) -> None:
    """Every status is news, since its conditions have just changed."""

    def wrong(wanted: Any, _: JobStatus, generation: int, now: str) -> Any:
        return conditions(wanted, JobStatus(), generation, now)

    patch.setattr(status, "conditions", wrong)


def _done_believed(patch: pytest.MonkeyPatch) -> None:
    """A worker's word is taken for its marker."""

    def wrong(view: TaskView) -> Iterator[Action]:
        report = view.worker.report if view.worker is not None else None
        if report is not None and report.failure is None:
            yield Settle(view.task, Outcome.SUCCEEDED)
        else:
            yield from decide_task(view)

    decide_task = task.decide_task
    patch.setattr(job, "decide_task", wrong)


def _gone_without_a_last_look(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> bool:
        return False

    patch.setattr("bec_operator.act.kube.tasks.find_pod", nothing)


def _every_node_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lost, "is_lost", lambda *_: True)


def _lost_nodes_awaited(patch: pytest.MonkeyPatch) -> None:
    """A pod is gone when its object is, however long its node is away."""
    patch.setattr(job, "release_pods", lambda *_: ())


def _claims_believed(patch: pytest.MonkeyPatch) -> None:
    """Whatever task and attempt a report is about, it is that of the pod."""
    patch.setattr(Caller, "check", lambda *_: None)


def _ended_attempts_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bec_operator.worker_api.callers.caller._is_current", lambda *_: True)
    patch.setattr(Caller, "check", lambda *_: None)


def _sessions_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sessions, "check", lambda *_: None)


def _silent_before_it_calls(patch: pytest.MonkeyPatch) -> None:
    """The time-out of heartbeats is for those, too, that never send any."""
    overdue = timeouts.overdue

    def wrong(view: TaskView, pod: PodSeen, since: float) -> Verdict | None:
        return overdue(view, replace(pod, called_since=pod.called_since or since), since)

    patch.setattr(running, "overdue", wrong)


def _no_grace_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """Silence is measured by what stands on the pod, not by what this process has seen."""
    overdue = timeouts.overdue

    def wrong(view: TaskView, pod: PodSeen, since: float) -> Verdict | None:
        return overdue(view, pod, min(since, pod.called_since or since))

    patch.setattr(running, "overdue", wrong)


def _progress_not_noted(patch: pytest.MonkeyPatch) -> None:
    note_call = TaskWorkers.note_call

    def wrong(self: TaskWorkers, pod: PodSeen, attempt: int, now: float, *_: Any) -> None:
        note_call(self, pod, attempt, now, None, 0)

    patch.setattr(TaskWorkers, "note_call", wrong)


def _verdict_lost(patch: pytest.MonkeyPatch) -> None:
    """Why an attempt was ended is known only to the process that has ended it."""
    patch.setattr("bec_operator.act.kube.pod_records._stopped", lambda _: None)


def _misconfigured_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(RULES, FailureClass.MISCONFIGURED, Rule())


def _misconfigured_goes_on(patch: pytest.MonkeyPatch) -> None:
    def wrong(memory: Memory, now: float) -> bool:
        known, memory.facts.worker = memory.facts.worker, None
        may = may_launch(memory, now)
        memory.facts.worker = known
        return may

    may_launch = checks.may_launch
    patch.setattr(job, "may_launch", wrong)
    patch.setattr("bec_operator.act.passes.may_launch", wrong)


def _misconfigured_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bec_operator.decide.memory.memory.find", lambda *_: None)


def _phase_believed(patch: pytest.MonkeyPatch) -> None:
    def wrong(view: TaskView) -> Iterator[Action]:
        if view.task.phase is TaskPhase.FAILED:
            yield Settle(view.task, Outcome.FAILED, FailureClass.RETRYABLE)
        else:
            yield from decide_task(view)

    decide_task = task.decide_task
    patch.setattr(job, "decide_task", wrong)


def _lists_heal_nothing(patch: pytest.MonkeyPatch) -> None:
    """A full look adds what is new, and leaves alone what is known already."""

    def wrong(self: KnownObjects[Any], _: str | None, records: Any, *__: Any) -> None:
        for record in records:
            if self.get(record.namespace, record.name) is None:
                self.put(record)

    patch.setattr(KnownObjects, "replace_all", wrong)


def _report_not_compiled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FailureReport, "is_current", lambda *_: True)


def _older_lines_not_read(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: FailureReport, _: Any) -> None:
        self.is_read = True

    patch.setattr(FailureReport, "note_older", wrong)


def _list_order_kept(patch: pytest.MonkeyPatch) -> None:
    """The manifest follows the list, so that its volumes move."""

    async def wrong(ctx: Any, memory: Memory, volumes: Any) -> str:
        return await put_manifest(ctx, memory, sorted(volumes, reverse=True))

    patch.setattr(act_growth, "put_manifest", wrong)


def _ledger_first(patch: pytest.MonkeyPatch) -> None:
    """The longer manifest is not stored before the ledger names it."""

    async def wrong(*_: Any) -> str:
        return "5" * 64

    patch.setattr(act_growth, "put_manifest", wrong)


def _end_without_a_last_look(patch: pytest.MonkeyPatch) -> None:
    """The list is looked at each minute, and that must do."""

    def too_seldom(memory: Memory, now: float, every: float) -> bool:
        listed = memory.books.listed
        return listed is None or now - listed.at >= every

    patch.setattr(saving, "is_look_due", too_seldom)
    patch.setattr(status, "is_list_done", is_list_quiet)


def _removed_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(status, "tell_of_list", lambda _, __, verdict: verdict)


def _tokens_mounted(patch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any) -> Any:
        pod = task_pod(*args)
        return {**pod, "spec": {**pod["spec"], "automountServiceAccountToken": True}}

    patch.setattr("bec_operator.act.kube.pods.task_pod", wrong)


MUTATIONS: list[tuple[Patch, Play, str]] = [
    (_marker_ignored, scenarios.marker_comes_after_a_look, "rule 1"),
    (_restart_not_doubted, scenarios.pod_comes_and_goes_while_no_operator_lives, "rule 1"),
    (_blind_between_passes, scenarios.pod_comes_and_goes_between_two_passes, "rule 1"),
    (_lost_answer_not_doubted, scenarios.pod_comes_and_goes_and_its_answer_is_lost, "rule 1"),
    (_unknown_is_absent, scenarios.s3_forbids_the_look_after_the_end, "rule 1"),
    (_done_believed, scenarios.worker_says_done_and_is_not, "rule 1"),
    (_old_pod_not_awaited, scenarios.task_is_made_anew_beside_an_old_pod, "rule 2"),
    (_gone_without_a_last_look, scenarios.one_operator_makes_what_another_calls_gone, "rule 2"),
    (_every_node_lost, scenarios.node_is_away_for_a_moment, "rule 3"),
    (_lost_nodes_awaited, scenarios.node_is_lost_and_its_zombie_comes_back, "still there"),
    (_claims_believed, scenarios.report_is_about_another_attempt, "rule 3"),
    (_ended_attempts_believed, scenarios.report_comes_after_the_next_attempt_began, "rule 3"),
    (_sessions_believed, scenarios.report_is_of_a_process_that_was_replaced, "rule 3"),
    (_silent_before_it_calls, scenarios.worker_never_calls, "rule 3"),
    (
        _no_grace_after_a_restart,
        scenarios.operator_is_away_for_longer_than_a_worker_may_be,
        "rule 3",
    ),
    (_progress_not_noted, scenarios.worker_gets_something_done_just_in_time, "rule 3"),
    (_verdict_lost, scenarios.operator_dies_between_verdict_and_deletion, "rule 3"),
    (_misconfigured_counted, scenarios.worker_is_misconfigured, "the Job's fault"),
    (
        _misconfigured_goes_on,
        scenarios.worker_is_misconfigured,
        "is misconfigured, and it launches",
    ),
    (
        _misconfigured_forgotten,
        scenarios.misconfigured_and_operator_restarts,
        "is misconfigured, and it launches",
    ),
    (
        _deleted_before_stored,
        scenarios.second_success_comes_right_after_the_ledger_was_stored,
        "rule 4",
    ),
    (_not_reported, scenarios.only_attempt_fails, "rule 4"),
    (_ledger_overwritten, scenarios.two_operators_store_the_ledger, "rule 4"),
    (_one_attempt_too_many, scenarios.only_attempt_fails, "Retrying"),
    (_phase_believed, scenarios.somebody_writes_that_a_task_has_failed, "volume 0"),
    (_list_order_kept, list_scenarios.list_changes_while_volumes_run, "volumes were moved"),
    (_ledger_first, list_scenarios.list_changes_while_volumes_run, "rule 4"),
    (_removed_not_told, list_scenarios.list_changes_while_volumes_run, "rule 6"),
    (
        _end_without_a_last_look,
        list_scenarios.volume_comes_to_the_list_while_the_last_ones_run,
        "left out",
    ),
    (_lists_heal_nothing, scenarios.correction_is_not_heard_of, "could run, and wait"),
    (_window_one_too_wide, scenarios.all_is_well, "rule 7"),
    (_window_never_filled, scenarios.all_is_well, "rule 7"),
    (_counted_twice, scenarios.all_is_well, "rule 6"),
    (_report_not_compiled, scenarios.only_attempt_fails, "report.csv has"),
    (_older_lines_not_read, scenarios.operator_dies_after_a_failure, "reported"),
    (_restless, scenarios.all_is_well, "rule 8"),
    (_tokens_mounted, scenarios.all_is_well, "rule 9"),
]


@pytest.mark.parametrize(
    ("mutate", "play", "rule"), MUTATIONS, ids=lambda given: getattr(given, "__name__", "")
)
def test_a_scenario_notices(
    mutate: Patch, play: Play, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=rule):
        SCENARIOS[play.__name__].run()


@pytest.mark.parametrize(
    ("mutate", "rule"),
    [
        (_marker_ignored, "rule 1"),
        (_old_pod_not_awaited, "rule 2"),
        (_not_reported, "rule 4"),
        (_counted_twice, "rule 6"),
        (_window_one_too_wide, "rule 7"),
    ],
)
def test_the_machine_notices(mutate: Patch, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    search = settings(
        max_examples=100,
        stateful_step_count=50,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match=rule):
        run_state_machine_as_test(OperatorMachine, settings=search)
