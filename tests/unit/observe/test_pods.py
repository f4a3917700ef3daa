"""The watch for pods: it ends when it is told to, however much is coming in."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.cache import Cache
from bec_operator.act.clock import Clock
from bec_operator.observe.pods import PodWatch

BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}


class _Stream:
    """An API server without pods, whose watch says what is fed to it."""

    def __init__(self) -> None:
        self.content = asyncio.StreamReader()

    def say(self, event: dict[str, Any]) -> None:
        self.content.feed_data(json.dumps(event).encode() + b"\n")

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def stream(self, *_: Any, **__: Any) -> "_Stream":
        return self

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("turns", range(5))
async def test_an_event_that_comes_with_the_end_does_not_keep_it_going(turns: int) -> None:
    """In Python 3.11, asyncio.wait_for forgets that it was cancelled if it has a result by then."""
    api = _Stream()
    ctx: Any = SimpleNamespace(api=api, cache=Cache(lambda _: None), clock=Clock())
    watch = asyncio.ensure_future(PodWatch(ctx, None).run())
    for _ in range(10):
        await asyncio.sleep(0)  # it has listed, and waits for the first event
    api.say(BOOKMARK)
    for _ in range(turns):
        await asyncio.sleep(0)
    watch.cancel()
    done, _ = await asyncio.wait([watch], timeout=5)
    assert watch in done
