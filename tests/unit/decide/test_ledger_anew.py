"""The ledger is deleted "to have it made anew", as our own messages say: the Job goes on."""

from collections import Counter

import pytest

from bec_operator.api.names import ledger_name
from bec_operator.decide.volumes.ledger import Outcome
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.guard import Guard
from tests.unit.decide.plan import Plan

PLAN = Plan(
    volumes=4,
    parallelism=1,
    keep_failed=3,
    keep_succeeded=3,
    limit=1,
    source="configMap",
    hopeless=frozenset({2}),
)
# The rules of one ledger that only grows: here another one takes its place.
_OF_ONE_LEDGER = ("ledger", "status", "task", "record", "pod", "deletion")


def _let_go(guard: Guard) -> None:
    for rule in _OF_ONE_LEDGER:
        setattr(guard, f"_check_{rule}", lambda *_: None)


@pytest.mark.parametrize("members", [[3, 2, 1, 0], [2, 3, 1], [1, 0, 2, 3]])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("at", [1, 3])  # volumes that have ended by then
def test_a_list_in_another_order(members: list[int], restart: bool, at: int) -> None:
    """Tasks of another place go, each volume is done, and nobody asks without end."""
    with Fleet([PLAN]) as fleet:
        world, guard = fleet.worlds["ocr"], fleet.guards["ocr"]
        fleet.run_until(lambda: fleet.status("ocr").counts.finished >= at, 60.0)
        _let_go(guard)
        world.list.change(members)
        fleet.objects.delete("configmaps", ledger_name("ocr"))
        world.retry_failed()
        if restart:
            fleet.restart()
        before = len(fleet.requests)
        fleet.run(5.0)  # one that has ended takes a while to hear of it
        fleet.run_until(lambda: fleet.has_ended("ocr"), 120.0)
        made = Counter((method, path) for _, method, path in fleet.requests[before:])
        assert max(made.values(), default=0) <= 12, made.most_common(3)
        ledger = guard.ledger()
        assert ledger is not None
        frozen = guard.frozen(ledger)
        assert set(frozen) >= {world.volumes[number] for number in members}
        for index, volume in enumerate(frozen):
            failed = volume == world.volumes[2]
            assert ledger.outcome(index) is (Outcome.FAILED if failed else Outcome.SUCCEEDED)
