"""Who gets results in the played world: both take note of all that they get, and may be away."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.ground.connections import (
    UNAVAILABLE,
    Connection,
    Connections,
    ConnectionTrouble,
)
from bec_operator.act.telling import receivers
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot
from tests.unit.decide.fake_api import Object
from tests.unit.decide.stepping import Call

T = TypeVar("T")
VOLUME = "org.bdrc.bec.volume."
WANTED: Object = {
    "sql": {"connection": "catalogue"},
    "queue": {"connection": "queues", "url": "https://sqs.example.org/1/results"},
}


@dataclass
class Received:
    """What a database and a queue have got, in order."""

    away: bool = False
    sql: list[Result] = field(default_factory=list)
    queue: list[dict[str, Any]] = field(default_factory=list)
    shown: list[tuple[JobTold, Snapshot]] = field(default_factory=list)

    def outcomes(self, job_uid: str) -> dict[str, dict[int, str]]:
        """Return what each has got last of each volume of a Job."""
        told = [event for event in self.queue if event["type"].startswith(VOLUME)]
        mine = [event for event in told if event["data"]["jobUid"] == job_uid]
        return {
            "sql": {each.index: each.outcome for each in self.sql if each.job_uid == job_uid},
            "queue": {e["data"]["index"]: e["type"].removeprefix(VOLUME) for e in mine},
        }


@dataclass(frozen=True, slots=True)
class _Played(Connection):
    received: Received


class PlayedConnections(Connections):
    """Leads to what plays a database or a queue; each call can be cut."""

    def __init__(self, received: Received) -> None:
        super().__init__()
        self._received = received

    def turn(self, connection: Connection, use: str = "") -> AbstractAsyncContextManager[None]:
        assert connection
        assert use
        return nullcontext()

    def find(self, name: str, kind: str, namespace: str) -> Connection:
        assert {kind} <= {"sql", "sqs"}
        assert namespace
        return _Played(name, Path(), self._received)

    async def listen(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        answer: T = await Call(lambda: self._do(connection, work), _no_answer)
        return answer

    def _do(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        if self._received.away:
            raise _no_answer()
        return work(connection)


def _no_answer() -> ConnectionTrouble:
    return ConnectionTrouble(UNAVAILABLE, "it does not answer")


def _deliver(
    connection: _Played,
    _tables: object,
    job: JobTold,
    results: Sequence[Result],
    snapshot: Snapshot | None,
    *,
    seconds: float,
) -> Sequence[str]:
    assert seconds > 0
    connection.received.sql.extend(results)
    if snapshot is not None:
        connection.received.shown.append((job, snapshot))
    return ()


class _Queue:
    def __init__(self, connection: _Played, _url: str) -> None:
        self._received = connection.received

    def send(self, messages: Mapping[str, Message]) -> set[str]:
        self._received.queue.extend(json.loads(message.body) for message in messages.values())
        return set(messages)


def played() -> Any:
    """Return what puts both in the places of the real ones, between its start and its stop."""
    return mock.patch.multiple(receivers, deliver=_deliver, Queue=_Queue)
