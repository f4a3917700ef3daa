"""Who gets results: tables of a PostgreSQL, and a queue. Each call gives all of it, or raises."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bec_operator.act.connections.results.bec.tables import BecTables
from bec_operator.act.connections.results.own.tables import OwnTables
from bec_operator.act.connections.results.writing import deliver
from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.telling.cloud_events import cloud_event, volume_event
from bec_operator.api.results import TablesOf
from bec_operator.decide.jobs.snapshots import job_told
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.notices import Notice, NoticeKind, notices
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot

MESSAGE_BYTES = 200 * 1024  # a queue takes 256 KiB in all
_ENDS = {NoticeKind.COMPLETED, NoticeKind.FAILED}


async def give_to_sql(
    ctx: Context,
    memory: Memory,
    results: Sequence[Result],
    snapshot: Snapshot | None,
    *,
    deleted: bool,
) -> Sequence[str]:
    """Write results, then what runs; return what could not be written. Raises ConnectionTrouble."""
    wanted = memory.outbox.wanted
    if wanted is None or wanted.sql is None:
        return ()
    tables = OwnTables() if wanted.sql.tables is TablesOf.OWN else BecTables()
    connection = ctx.connections.find(wanted.sql.connection, "sql", memory.job.namespace)
    job, seconds = job_told(memory, deleted=deleted), ctx.settings.query_seconds
    return await ctx.connections.call(
        connection, lambda it: deliver(it, tables, job, results, snapshot, seconds=seconds)
    )


async def give_to_queue(
    ctx: Context, memory: Memory, results: Sequence[Result], *, ended: bool
) -> Sequence[str]:
    """Send a message for each volume that has ended, then that no task is left, if none is.

    Raises ConnectionTrouble where one was not taken: then all come again.
    """
    wanted, notice = memory.outbox.wanted, memory.outbox.notice
    if wanted is None or wanted.queue is None:
        return ()
    url, job = wanted.queue.url, job_told(memory, deleted=False)
    connection = ctx.connections.find(wanted.queue.connection, "sqs", memory.job.namespace)
    ends = [each for each in notices(memory.job) if each.kind in _ENDS] if ended else []
    left = [*ends, *([notice] if notice is not None and not ends else [])]

    def send(connection: Connection) -> None:
        _send(Queue(connection, url), connection.name, _messages(job, results, left))

    await ctx.connections.call(connection, send)
    memory.outbox.note_notice_sent(notice)
    return ()


def _messages(
    job: JobTold, results: Sequence[Result], left: Sequence[Notice]
) -> Mapping[str, Message]:
    """Return the messages by number; what comes twice is a message twice."""
    events = [volume_event(job, _bounded(r)) for r in results if r.outcome != "waiting"]
    events += [cloud_event(notice) for notice in left]
    return {str(at): _message(event) for at, event in enumerate(events)}


def _bounded(result: Result) -> Result:
    """Return a result that fits into a message: what is said of the attempts may be much."""
    size = sum(len(attempt.message) + 500 for attempt in result.attempts) + len(result.message)
    return result if size * 4 < MESSAGE_BYTES else result.model_copy(update={"attempts": []})


def _message(event: Mapping[str, Any]) -> Message:
    return Message("", "", json.dumps(event), {"type": str(event["type"])})


def _send(queue: Queue, name: str, messages: Mapping[str, Message]) -> None:
    if not messages:
        return
    sent = queue.send(messages)
    if len(sent) < len(messages):
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {name}: the queue did not take {len(messages) - len(sent)} of "
            f"{len(messages)} messages; they are sent again",
        )
