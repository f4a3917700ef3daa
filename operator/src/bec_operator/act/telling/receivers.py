"""Who gets results: tables of a PostgreSQL, and a queue. Each call gives all of it, or raises."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from bec_operator.act.connections.results.bec.tables import BecTables
from bec_operator.act.connections.results.own.tables import OwnTables
from bec_operator.act.connections.results.writing import deliver
from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.telling.cloud_events import cloud_event, volume_event
from bec_operator.api.results import TablesOf
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.outbox import Receiver
from bec_operator.decide.sight.notices import Notice, NoticeKind, notices
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot

MESSAGE_BYTES = 200 * 1024  # a queue takes 256 KiB in all
_USE = "results"  # which has turns of its own: others wait for answers of the same server
_ENDS = {NoticeKind.COMPLETED, NoticeKind.FAILED}


class Given(Protocol):
    """One receiver, as the Job names it now. Making it raises ConnectionTrouble."""

    @property
    def has_more(self) -> bool:
        """Whether there is something to tell it beside results."""

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Return what to hold while it is given something, and while that is in memory."""

    async def give(
        self,
        job: JobTold,
        results: Sequence[Result],
        snapshot: Snapshot | None,
        *,
        ended: bool,
        last: bool,
    ) -> Sequence[str]:
        """Give all of it; return what it will never take. Raises ConnectionTrouble.

        `ended`: it is to hear that the Job has, if it has. `last`: no further results wait now.
        """


class _Sql:
    """Tables of a PostgreSQL."""

    has_more = False

    def __init__(self, ctx: Context, memory: Memory) -> None:
        wanted = memory.outbox.wanted
        assert wanted is not None
        assert wanted.sql is not None
        self._ctx = ctx
        self._tables = OwnTables() if wanted.sql.tables is TablesOf.OWN else BecTables()
        self._connection = ctx.connections.find(wanted.sql.connection, "sql", memory.job.namespace)

    def turn(self) -> AbstractAsyncContextManager[object]:
        return self._ctx.connections.turn(self._connection, _USE)

    async def give(
        self,
        job: JobTold,
        results: Sequence[Result],
        snapshot: Snapshot | None,
        *,
        ended: bool,  # noqa: ARG002 - the snapshot tells it
        last: bool,  # noqa: ARG002 - and so is this
    ) -> Sequence[str]:
        seconds = self._ctx.settings.query_seconds
        return await self._ctx.connections.listen(
            self._connection,
            lambda it: deliver(it, self._tables, job, results, snapshot, seconds=seconds),
        )


class _Queue:
    """A queue of SQS: a message for each volume that has ended, then that no task is left."""

    def __init__(self, ctx: Context, memory: Memory) -> None:
        wanted = memory.outbox.wanted
        assert wanted is not None
        assert wanted.queue is not None
        self._ctx = ctx
        self._memory = memory
        self._url = wanted.queue.url
        self._connection = ctx.connections.find(
            wanted.queue.connection, "sqs", memory.job.namespace
        )

    @property
    def has_more(self) -> bool:
        return self._memory.outbox.notice is not None

    def turn(self) -> AbstractAsyncContextManager[object]:
        return self._ctx.connections.turn(self._connection, _USE)

    async def give(
        self,
        job: JobTold,
        results: Sequence[Result],
        snapshot: Snapshot | None,  # noqa: ARG002 - it says nothing of what runs
        *,
        ended: bool,
        last: bool,
    ) -> Sequence[str]:
        notice = self._memory.outbox.notice if last else None
        ends = [n for n in notices(self._memory.job) if n.kind in _ENDS] if ended else []
        left = ends or ([notice] if notice is not None else [])
        await self._ctx.connections.listen(
            self._connection, lambda it: _send(it, self._url, _messages(job, results, left))
        )
        self._memory.outbox.note_notice_sent(notice)
        return ()


RECEIVERS: dict[Receiver, Callable[[Context, Memory], Given]] = {"sql": _Sql, "queue": _Queue}


def _messages(
    job: JobTold, results: Sequence[Result], left: Sequence[Notice]
) -> Mapping[str, Message]:
    """Return the messages by number; what comes twice is a message twice."""
    told = [_of_volume(job, result) for result in results if result.outcome != "waiting"]
    told += [_message(cloud_event(notice)) for notice in left]
    return {str(at): message for at, message in enumerate(told)}


def _of_volume(job: JobTold, result: Result) -> Message:
    """Return a message that fits into a queue: what is said of the attempts may be much."""
    message = _message(volume_event(job, result))
    if message.size <= MESSAGE_BYTES:
        return message
    return _message(volume_event(job, result.model_copy(update={"attempts": []})))


def _message(event: Mapping[str, Any]) -> Message:
    return Message("", "", json.dumps(event), {"type": str(event["type"])})


def _send(connection: Connection, url: str, messages: Mapping[str, Message]) -> None:
    """Send all messages; where one was not taken, all come again."""
    if not messages:
        return
    sent = Queue(connection, url).send(messages)
    if len(sent) < len(messages):
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {connection.name}: the queue did not take {len(messages) - len(sent)} of "
            f"{len(messages)} messages; they are sent again",
        )
