"""A watch of our own: it ends when it is told to, however much is coming in."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.observe.kinds import PODS, TASKS
from bec_operator.observe.watch import Watch

BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}


class _Stream:
    """An API server without pods, whose watch says what is fed to it."""

    def __init__(self) -> None:
        self.content = asyncio.StreamReader()

    def say(self, event: dict[str, Any]) -> None:
        self.feed(json.dumps(event).encode() + b"\n")

    def feed(self, data: bytes) -> None:
        self.content.feed_data(data)

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def stream(self, *_: Any, **__: Any) -> "_Stream":
        return self

    async def __aenter__(self) -> "_Stream":
        return self

    async def __aexit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("turns", range(5))
async def test_an_event_that_comes_with_the_end_does_not_keep_it_going(turns: int) -> None:
    """In Python 3.11, asyncio.wait_for forgets that it was cancelled if it has a result by then."""
    api = _Stream()
    ctx: Any = SimpleNamespace(api=api, cache=Cache(lambda _: None), clock=Clock())
    watch = asyncio.ensure_future(Watch(ctx, PODS, None).run())
    for _ in range(10):
        await asyncio.sleep(0)  # it has listed, and waits for the first event
    api.say(BOOKMARK)
    for _ in range(turns):
        await asyncio.sleep(0)
    watch.cancel()
    done, _ = await asyncio.wait([watch], timeout=5)
    assert watch in done


async def test_events_may_come_in_pieces_or_many_at_once() -> None:
    told, all_told = iter(range(2, 0, -1)), asyncio.Event()
    api, cache = _Stream(), Cache(lambda _: None if next(told, 0) else all_told.set())
    ctx: Any = SimpleNamespace(api=api, cache=cache, clock=Clock())
    watch = asyncio.ensure_future(Watch(ctx, TASKS, None).run())
    said = b"".join(json.dumps(_added(number)).encode() + b"\n" for number in (2, 3, 4))
    for part in (said[:150], said[150:160], said[160:]):
        api.feed(part)
        for _ in range(10):
            await asyncio.sleep(0)  # it takes in what there is
    async with asyncio.timeout(5):
        await all_told.wait()
    known = {(task.name, task.version) for task in cache.tasks.all()}
    watch.cancel()
    assert known == {("t2", 2), ("t3", 3), ("t4", 4)}


def _added(number: int) -> dict[str, Any]:
    meta = {
        "namespace": "ns",
        "name": f"t{number}",
        "uid": f"u{number}",
        "resourceVersion": str(number),
    }
    return {"type": "ADDED", "object": {"metadata": meta, "spec": {"job": "j", "index": number}}}
