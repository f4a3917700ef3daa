"""A look at a node that may not be looked at."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.kube.nodes import check_node
from bec_operator.decide.attempts.actions import CheckNode
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen, NodeSeen


class _Api:
    def __init__(self, code: int) -> None:
        self.code = code
        self.asked: list[str] = []

    async def request(self, _: str, path: str) -> dict[str, Any]:
        self.asked.append(path)
        raise ApiError(self.code, "Reason", "no")


async def _look(code: int, *nodes: str) -> tuple[Memory, _Api]:
    memory, api = Memory(JobSeen("ns", "ocr", "uid", 1, 1, "2026", None)), _Api(code)
    ctx: Any = SimpleNamespace(api=api, clock=SimpleNamespace(now=lambda: 7.0))
    for node in nodes:
        await check_node(ctx, memory, CheckNode(node))
    return memory, api


async def test_a_node_that_is_not_there_is_gone() -> None:
    memory, api = await _look(404, "n1")
    assert memory.books.nodes == {"n1": NodeSeen(7.0, gone=True)}
    assert api.asked == ["/api/v1/nodes/n1"]


async def test_who_may_not_look_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        memory, _ = await _look(403, "n1", "n2", "n1")
    assert set(memory.books.nodes.values()) == {NodeSeen(7.0, forbidden=True)}
    (said,) = caplog.records
    assert "whether node n1 is lost cannot be seen" in said.getMessage()


async def test_an_api_server_that_fails_tells_nothing() -> None:
    with pytest.raises(ApiError):
        await _look(500, "n1")
