"""Short plays of several Jobs under the operator as it runs: what once went wrong, or could."""

from typing import Any

import pytest

from tests.unit.decide.books import left_in_memory
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.injected import Fault, injected
from tests.unit.decide.plan import Plan

FAILING = Plan(hopeless=frozenset({1}), keep_failed=0, keep_succeeded=0)


def _left(fleet: Fleet, name: str) -> dict[str, Any]:
    memory = fleet.operator.reconciler.memory(("bec", name))
    assert memory is not None
    return left_in_memory(memory)


def test_who_writes_to_the_same_place_begins_after_the_last_word() -> None:
    """Else it empties the report of the one before, which is about to say that it has ended."""
    with Fleet([FAILING, Plan(name="again", job_id="ocr")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr", "again"), 60.0)


@pytest.mark.parametrize("error", [TimeoutError, KeyError])
def test_the_answer_to_the_last_status_is_lost(error: type[Exception]) -> None:
    """The Job has ended, and nothing is remembered of its volumes all the same."""
    fault = Fault("ocr", "answer", "PATCH jobs", error)
    with injected(fault), Fleet([FAILING], [fault]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.run(5.0)
        assert "ledger" not in _left(fleet, "ocr")
        fault.mended = True
        fleet.run(60.0)
        assert _left(fleet, "ocr") == {}


@pytest.mark.parametrize("plan", [FAILING, Plan(pool=2, volumes=4, keep_succeeded=0)])
def test_nothing_is_remembered_of_a_job_that_has_ended(plan: Plan) -> None:
    with Fleet([plan]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.run(30.0)
        assert _left(fleet, "ocr") == {}


@pytest.mark.parametrize("what", ["jobs", "pods", "volumetasks", "deployments"])
def test_what_could_not_be_read_once_is_read_again(what: str) -> None:
    """The last that is heard of a pod may be what could not be read."""
    fault = Fault("ocr", "reading", what, RecursionError)
    with injected(fault), Fleet([Plan(pool=2), Plan(name="ner")], [fault]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ner"), 60.0)
        assert fault.fired
        fault.mended = True
        fleet.run_until(lambda: fleet.has_ended("ocr"), 300.0)


def test_an_idle_operator_asks_nothing() -> None:
    with Fleet([Plan(), Plan(name="ner")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr", "ner"), 60.0)
        fleet.run(30.0)
        before = len(fleet.requests)
        fleet.run(600.0)
        assert fleet.requests[before:] == []
