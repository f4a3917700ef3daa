"""The loop that the operator runs on: sockets are not quite the same on all of them."""

from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """Tell pytest-asyncio which loops to run these tests on."""
    return {"uvloop": uvloop.new_event_loop}
