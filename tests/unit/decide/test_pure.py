"""`decide` writes nothing, and what only saves looks can be dropped at any time."""

import ast
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bec_operator
from bec_operator.act import passes
from bec_operator.decide.attempts.record import Cached
from bec_operator.decide.hosts.seats import Seating
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.plan import Plan
from tests.unit.decide.test_fleet import fleets

ENDED_WITHIN = 900.0  # seconds
ROOT = Path(bec_operator.__file__).parent


def written(thing: Any) -> Any:
    """Return what is written in a thing and all that it holds, but for what only saves looks."""
    if isinstance(thing, Cached):
        return None
    if isinstance(thing, dict):
        return {key: written(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [written(value) for value in thing]
    if isinstance(thing, bytearray | set):
        return type(thing)(thing)
    kind: Any = type(thing)
    if is_dataclass(thing) and kind.__dataclass_params__.frozen:
        return thing
    names = [field.name for field in fields(thing)] if is_dataclass(thing) else _slots(thing)
    if isinstance(thing, Seating):
        names.remove("kept")
    return {name: written(getattr(thing, name)) for name in names} if names else thing


def _slots(thing: Any) -> list[str]:
    """Return the names of what an object of ours holds; none of one of others, such as a number."""
    if not type(thing).__module__.startswith("bec_operator.decide"):
        return []
    return [*getattr(type(thing), "__slots__", ()), *getattr(thing, "__dict__", ())]


@contextmanager
def looked_at(look: Callable[[Scene], list[Action]]) -> Iterator[None]:
    """Let all decisions within be made by way of `look`."""
    with patch.object(passes, "decide", look):
        yield


def _twice(scene: Scene) -> list[Action]:
    before = written(scene.memory)
    first = decide(scene)
    assert written(scene.memory) == before
    assert decide(scene) == first
    return first


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=fleets())
def test_a_decision_writes_nothing(plans: list[Plan]) -> None:
    with looked_at(_twice), Fleet(plans) as fleet:
        fleet.run_until(lambda: fleet.has_ended(*fleet.guards), ENDED_WITHIN)


def test_a_decision_that_writes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test has teeth."""
    from bec_operator.decide.jobs import job  # noqa: PLC0415

    def wrong(memory: Memory, _: float) -> list[Action]:
        memory.books.markers.read_from += 1
        return []

    monkeypatch.setattr(job, "reads", wrong)
    with pytest.raises(AssertionError), looked_at(_twice), Fleet([Plan(volumes=2)]) as fleet:
        fleet.run_until(lambda: fleet.has_ended(*fleet.guards), ENDED_WITHIN)


def _requests(plans: list[Plan], look: Callable[[Scene], list[Action]]) -> Any:
    """Return all requests until all Jobs have ended, with their moments."""
    with looked_at(look), Fleet(plans) as fleet:
        fleet.run_until(lambda: fleet.has_ended(*fleet.guards), ENDED_WITHIN)
        return fleet.requests


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=fleets(), seed=st.integers(0, 9))
def test_what_saves_looks_can_be_dropped_at_any_time(plans: list[Plan], seed: int) -> None:
    dice = random.Random(seed)

    def forgetful(scene: Scene) -> list[Action]:
        if dice.random() < 0.5:
            for record in scene.memory.books.records.values():
                record.cached, record.seating.kept = Cached(), None
        return decide(scene)

    assert _requests(plans, forgetful) == _requests(plans, decide)


# --- who writes


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        flat = [t.elts if isinstance(t, ast.Tuple) else [t] for t in node.targets]
        return [target for targets in flat for target in targets]
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


def _chain(target: ast.expr) -> list[str]:
    """Return the names of `a.b[c].d`: a, b and d."""
    names: list[str] = []
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(target, ast.Attribute):
            names.append(target.attr)
        target = target.func if isinstance(target, ast.Call) else target.value
    return [*([target.id] if isinstance(target, ast.Name) else []), *reversed(names)]


REMEMBERED = {"memory", "books", "record", "hosts", "breaker", "calling", "gate", "telling"}


def _assigned(source: str) -> list[str]:
    """Return what of a Memory is assigned in a module, or changed as a container is."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for target in _targets(node):
            chain = _chain(target)
            if len(chain) > 1 and REMEMBERED & {*chain[:-1]}:
                found.append(ast.unparse(target))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            chain = _chain(node.func)
            changes = {"pop", "add", "discard", "clear", "update", "append", "setdefault"}
            if chain[-1] in changes and "memory" in chain[:-1]:
                found.append(ast.unparse(node.func))
    return found


@pytest.mark.parametrize(
    "path",
    [p for room in ("act", "worker_api", "observe") for p in sorted((ROOT / room).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nobody_outside_of_decide_writes_what_is_remembered(path: Path) -> None:
    """They tell it by a verb, such as `learn`: who owns a part decides what follows from that."""
    assert _assigned(path.read_text()) == []


def test_who_writes_is_found() -> None:
    wrong = "memory.facts.storage = x\ncase.memory.books.tasks[1], y = 1, 2\nmemory.pool.n += 1"
    assert len(_assigned(wrong)) == 3
    assert _assigned("memory.books.tasks.pop(1)") == ["memory.books.tasks.pop"]
    assert _assigned("memory.learn('storage', x)\nfound = memory.books.tasks") == []
