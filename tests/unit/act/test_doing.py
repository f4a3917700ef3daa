"""Actions whose ledger is another one by the time that they are done."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.case import Case
from bec_operator.act.doing import Doer
from bec_operator.act.doings import DOINGS, Lane
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.actions import ReadMarker
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger
from bec_ops.contract.volume import Volume


def _case() -> Case:
    memory = Memory(JobSeen("ns", "j", "uid", 1, 1, "1", None))
    named = [Volume("W", f"I{number}") for number in range(3)]
    memory.load(named, [f"a/{v.i_id}/" for v in named], Ledger.fresh("sha", 3), 1.0)
    return Case(memory)


def _doer() -> tuple[Doer, Any]:
    ctx = SimpleNamespace(clock=Clock(), cache=Cache(lambda _: None))
    return Doer(4, lambda _: None), ctx


def _let(patch: pytest.MonkeyPatch, kind: type[Action], doing: Any) -> None:
    patch.setitem(DOINGS, kind, (doing, Lane.WRITE))


async def test_what_was_decided_from_another_ledger_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list may be in another order now: the place would be another volume's."""
    done: list[int] = []

    async def create(_: Any, __: Memory, action: CreateTask) -> None:
        done.append(action.index)

    _let(monkeypatch, CreateTask, create)
    (doer, ctx), case = _doer(), _case()
    doer.start(ctx, case, CreateTask(1))
    case.memory.forget()  # before it has its turn
    await doer.drain()
    assert (done, len(case.memory.under_way)) == ([], 0)
    doer.start(ctx, case, CreateTask(2))
    await doer.drain()
    assert done == [2]


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_read_that_breaks_is_noted_of_its_own_ledger_alone(
    monkeypatch: pytest.MonkeyPatch, *, forgets: bool
) -> None:
    """Of a volume that is there no more, the Job would say so for good."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def read(*_: Any) -> None:
        begun.set()
        await go_on.wait()
        raise KeyError

    _let(monkeypatch, ReadMarker, read)
    (doer, ctx), case = _doer(), _case()
    doer.start(ctx, case, ReadMarker(2))
    await begun.wait()
    if forgets:
        case.memory.forget()
    go_on.set()
    await doer.drain()
    memory = case.memory
    assert not memory.under_way
    assert memory.books.markers.unread.keys() == (set() if forgets else {2})
    if not forgets:
        assert memory.books.frontier[2] is VolumeState.UNCHECKED  # it is read again
