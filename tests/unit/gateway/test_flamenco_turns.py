"""How many updates of Flamenco Workers are taken in at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bec_operator.gateway.faces.flamenco.turns import Turns
from bec_operator.worker_api.callers.refusals import CallRefusedError


def test_a_worker_has_one_at_a_time() -> None:
    turns = Turns()
    with turns.of("desk-1"), turns.of("desk-2"):
        with pytest.raises(CallRefusedError) as refused, turns.of("desk-1"):
            pass
        assert refused.value.word == "TooMany"
    with turns.of("desk-1"):
        pass


def test_there_is_room_for_few_large_ones() -> None:
    async def fill() -> None:
        turns = Turns()
        async with AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(turns.large())
            with pytest.raises(CallRefusedError) as refused:
                await stack.enter_async_context(turns.large())
            assert refused.value.word == "Unavailable"
        async with turns.large():
            pass

    asyncio.run(fill())
