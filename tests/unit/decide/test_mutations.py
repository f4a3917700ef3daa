"""The machine has teeth: each rule's code is broken on purpose, and the machine must notice.

A mutation that the machine lets pass would mean that the rule is not tested at all.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bec_operator.act import ledger as act_ledger
from bec_operator.act.manifest import ledger_object
from bec_operator.api.job import JobStatus
from bec_operator.decide import job, status, task
from bec_operator.decide.conditions import conditions
from bec_operator.decide.failures import is_final
from bec_operator.decide.ledger import Ledger
from bec_operator.decide.memory import Memory
from bec_operator.decide.seen import MarkerSeen, MarkerState, PodSeen
from bec_operator.decide.view import TaskView
from tests.unit.decide.machine import OperatorMachine

Patch = Callable[[pytest.MonkeyPatch], None]


def _marker_ignored(patch: pytest.MonkeyPatch) -> None:
    """A look from before the attempt's end will do."""
    patch.setattr(task, "_may_ask", lambda view, _: view.reading is None)


def _restart_not_doubted(patch: pytest.MonkeyPatch) -> None:
    """A task of an earlier process is launched as if its pod could not have come and gone."""

    def view(**seen: Any) -> TaskView:
        return TaskView(**{**seen, "own": True})

    patch.setattr(job, "TaskView", view)


def _unknown_is_absent(patch: pytest.MonkeyPatch) -> None:
    note = Memory.note_reading

    def wrong(self: Memory, index: int, reading: MarkerSeen, *_: Any) -> None:
        unknown = reading.state is MarkerState.UNKNOWN
        note(self, index, replace(reading, state=MarkerState.ABSENT) if unknown else reading)

    patch.setattr(Memory, "note_reading", wrong)


def _blind_between_passes(patch: pytest.MonkeyPatch) -> None:
    """What came and went before a pass could see it was never there."""
    patch.setattr(Memory, "note_begun", lambda *_: None)
    patch.setattr(Memory, "doubt", lambda *_: None)


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
        "bec_operator.act.ledger.ledger_object",
        lambda memory, ledger, _: ledger_object(memory, ledger),
    )


def _one_attempt_too_many(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "bec_operator.decide.task.is_final", lambda failures, limit: is_final(failures, limit + 1)
    )


def _window_one_too_wide(patch: pytest.MonkeyPatch) -> None:
    launches = job._launches
    patch.setattr(job, "_launches", lambda memory, free, now: launches(memory, free + 1, now))


def _window_never_filled(patch: pytest.MonkeyPatch) -> None:
    launches = job._launches
    patch.setattr(job, "_launches", lambda memory, free, now: launches(memory, free - 1, now))


def _counted_twice(patch: pytest.MonkeyPatch) -> None:
    counts = status._counts

    def wrong(memory: Memory, tally: status.Tally) -> Any:
        right = counts(memory, tally)
        return right.model_copy(update={"waiting": right.waiting + tally.running})

    patch.setattr(status, "_counts", wrong)


def _restless(patch: pytest.MonkeyPatch) -> None:
    """Every status is news, since its conditions have just changed."""

    def wrong(wanted: Any, _: JobStatus, generation: int, now: str) -> Any:
        return conditions(wanted, JobStatus(), generation, now)

    patch.setattr(status, "conditions", wrong)


MUTATIONS: list[tuple[Patch, str]] = [
    (_marker_ignored, "rule 1"),
    (_old_pod_not_awaited, "rule 2"),
    (_deleted_before_stored, "rule 4"),
    (_not_reported, "rule 4"),
    (_one_attempt_too_many, "Retrying|no attempt left"),
    (_window_one_too_wide, "rule 7"),
    (_window_never_filled, "rule 7|never ends"),
    (_counted_twice, "rule 6"),
    (_restless, "rule 9"),
]


@pytest.mark.parametrize(
    ("mutate", "rule"), MUTATIONS, ids=lambda given: getattr(given, "__name__", None)
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
