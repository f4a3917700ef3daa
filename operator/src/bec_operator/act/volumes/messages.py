"""Takes the messages of a queue, and deletes them once their volumes are stored.

A message that is not deleted comes again, so whatever is lost in between is done again; and one
whose volume is known already is deleted, so nothing is done twice.
"""

import asyncio
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain

from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.kube.events import post_event
from bec_operator.act.volumes.held_messages import hold
from bec_operator.api.queue import QueueSource
from bec_operator.decide.lists.growth import count_settled
from bec_operator.decide.lists.messages import (
    REFUSED_MESSAGES,
    held_messages,
    told_of_refused,
)
from bec_operator.decide.lists.sites import UNKNOWN_SITES, names, told_of_unknown
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import DeleteMessages, TakeMessages
from bec_operator.decide.volumes.inbox import MOST
from bec_operator.decide.volumes.volume_list import VolumeList, row_of
from bec_operator.decide.volumes.volume_sites import site_of
from bec_operator.sources.messages import read_message
from bec_ops.contract.location import OutputTemplate, reports_prefix
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.volume import Volume

WAIT = 20  # seconds for the first message: the longest that there is
WAIT_UNTIL_EMPTY = 5  # the same, where the next question is whether it is empty
VISIBILITY = 120  # seconds for which nobody else gets a message: it is stored within a few
BYTES = 16 * 1024 * 1024  # of messages that are received at once
_TOLD = 1000  # characters of a message that names no volume, as they are put on record


@dataclass(slots=True)
class _Taken:
    """What was received: receipts by message, for the volumes that they name; and the rest."""

    volumes: dict[Volume, dict[str, str]] = field(default_factory=dict)
    received: dict[str, tuple[float, int]] = field(default_factory=dict)  # when, how often, by id
    refused: dict[str, tuple[Message, str]] = field(default_factory=dict)  # and why, by id
    unknown: dict[Volume, str] = field(default_factory=dict)  # sites that the Job does not name

    @property
    def any(self) -> bool:
        """Whether any message was received."""
        return bool(self.volumes or self.refused)

    def sort(self, memory: Memory, messages: Collection[Message], now: float) -> None:
        """Read messages. One whose volume has no place for its output is refused as well."""
        template, job_id = OutputTemplate.parse(memory.output.prefix), memory.job.job_id
        sites = memory.job.spec.sites if memory.job.spec is not None else None
        for message in messages:
            try:
                volume = read_message(message.body, message.attributes, sited=sites is not None)
                if (site := site_of(volume)) and not names(sites, site):
                    volume = Volume._make(volume)  # anybody may send any number of them
                    self.unknown[volume] = site
                known = volume if volume.i_version else volume._replace(i_version=memory.stand_in)
                template.prefix(job_id, known)
            except ValueError as error:
                self.refused[message.id] = message, str(error)
            else:
                self.volumes.setdefault(volume, {})[message.id] = message.receipt
                self.received[message.id] = now, message.received


async def take_messages(ctx: Context, memory: Memory, action: TakeMessages) -> None:
    """Receive what there is, up to a bound; where there is nothing, wait a while for the first."""
    spec, ledger, inbox = memory.job.spec, memory.ledger, memory.books.inbox
    if spec is None or spec.volumes.queue is None or ledger is None:
        return
    source, settled = spec.volumes.queue, count_settled(ledger)
    room = min(action.most, MOST - held_messages(memory))
    try:
        connection = ctx.connections.find(source.connection, "sqs", memory.job.namespace)
        taken = await ctx.connections.listen(
            connection, lambda it: _receive(ctx, Queue(it, source.url), memory, source, room)
        )
        if not await _note(ctx, memory, taken):
            await _give_back(ctx, connection, source, taken)
        elif taken.refused:
            await _refuse(ctx, memory, connection, source, taken.refused)
        if taken.unknown:
            said = told_of_unknown(len(taken.unknown), set(taken.unknown.values()))
            await post_event(ctx.api, ctx.clock, memory.job, UNKNOWN_SITES, said, "Warning")
        if not taken.any and source.until is not None:
            facts = await ctx.connections.call(connection, lambda it: Queue(it, source.url).facts())
            empty = not (facts.waiting or facts.in_flight or facts.delayed)
            inbox.note_empty(ctx.clock.now(), settled, ctx.settings.list_every, empty=empty)
    except ConnectionTrouble as error:
        inbox.note_trouble(_fact(ctx, error))
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))


def _fact(ctx: Context, error: ConnectionTrouble) -> Fact:
    return Fact(ctx.clock.now(), error.reason, f"spec.volumes.queue: {error}")


def _receive(ctx: Context, queue: Queue, memory: Memory, source: QueueSource, room: int) -> _Taken:
    """Receive and read messages, in a thread: what they hold may take its time."""
    taken, size = _Taken(), 0
    wait = WAIT if source.until is None else WAIT_UNTIL_EMPTY
    visibility = int(source.held_for) if memory.shares_queue else VISIBILITY
    while batch := queue.receive(room, wait, visibility):
        taken.sort(memory, batch, ctx.clock.now())
        room, wait, size = room - len(batch), 0, size + sum(each.size for each in batch)
        if room <= 0 or size > BYTES:
            break
    return taken


async def _give_back(
    ctx: Context, connection: Connection, source: QueueSource, taken: _Taken
) -> None:
    """Let others, or ourselves, have messages that nothing can be done with now."""
    receipts = {name: message.receipt for name, (message, _) in taken.refused.items()}
    for of_volume in taken.volumes.values():
        receipts |= of_volume
    if receipts:
        await ctx.connections.call(connection, lambda it: Queue(it, source.url).give_back(receipts))


async def _note(ctx: Context, memory: Memory, taken: _Taken) -> bool:
    """Take in which volumes are new, beside what is in the manifest by then.

    False if the job has no manifest now: its ledger was lost to somebody else, or it has ended.
    """
    while True:
        known, ledger = memory.books.volumes, memory.ledger
        places = await asyncio.to_thread(_places_of, memory, VolumeList.of(known), taken.volumes)
        if memory.ledger is None or memory.ledger is not ledger:
            return False
        if memory.books.volumes is known:
            break
    new = [volume for volume in taken.volumes if volume not in places]
    waiting = memory.books.inbox.waiting
    more, most = sum(volume not in waiting for volume in new), ctx.settings.max_volumes
    full = len(known) + len(memory.books.added) + more > most
    wanted = {volume: taken.volumes[volume] for volume in new} if not full else {}
    if memory.shares_queue:
        known_ones = {volume: taken.volumes[volume] for volume in places}
        hold(memory, known_ones | wanted, places, taken.received)
        memory.books.note_messages({volume: {} for volume in wanted}, {})
    else:
        stored = [taken.volumes[volume].items() for volume in places]
        memory.books.note_messages(wanted, dict(chain.from_iterable(stored)))
    if full and new:
        said = (
            f"spec.volumes.queue: the job has {len(known):,} volumes, and there may be {most:,}; "
            "it takes no more messages: take them with another job"
        )
        memory.books.inbox.note_full(Fact(ctx.clock.now(), "InvalidManifest", said))
    return True


def _places_of(
    memory: Memory, known: VolumeList, volumes: Mapping[Volume, object]
) -> dict[Volume, int]:
    """Return the volumes that the manifest has, and where.

    Where versions are found out, one without is known if one of its ids is, of whatever version.
    """
    wanted, places = {row_of(volume).encode(): volume for volume in volumes}, dict[Volume, int]()
    for index, row in enumerate(known.rows()) if wanted else ():
        if row in wanted:
            places[wanted[row]] = index
        if memory.stand_in:
            bare = row[: row.rindex(b"\x1f") + 1]
            if bare in wanted:
                places[wanted[bare]] = index
    return places


async def _refuse(
    ctx: Context,
    memory: Memory,
    connection: Connection,
    source: QueueSource,
    refused: Mapping[str, tuple[Message, str]],
) -> None:
    """Put messages that name no volume on record and into the dead letters, then delete them."""
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    name = hashlib.sha256(" ".join(sorted(refused)).encode()).hexdigest()[:16]
    bucket, key = memory.output.bucket, f"{folder}{REFUSED_MESSAGES}{name}.jsonl"
    body = "".join(_line(message, why) for message, why in refused.values()).encode()
    await ctx.storage.call("report", lambda store: store.put(bucket, key, body))

    def bury(connection: Connection) -> set[str]:
        queue = Queue(connection, source.url)
        buried = {name: message for name, (message, _) in refused.items()}
        dead_letters = queue.dead_letter_url()
        if dead_letters is not None:
            sent = Queue(connection, dead_letters).send(buried)
            buried = {name: message for name, message in buried.items() if name in sent}
        queue.delete({name: message.receipt for name, message in buried.items()})
        return set(buried)

    buried = await ctx.connections.call(connection, bury)
    memory.books.inbox.note_refused(len(buried))
    if buried:
        _, why = refused[min(buried)]
        said = f"{told_of_refused(len(buried))}; the first: {why}"
        await post_event(ctx.api, ctx.clock, memory.job, "MessagesRefused", said, "Warning")


def _line(message: Message, why: str) -> str:
    told = {
        "messageId": message.id,
        "why": why,
        "body": message.body[:_TOLD],
        "attributes": {n[:100]: v[:_TOLD] for n, v in list(message.attributes.items())[:10]},
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


async def delete_messages(ctx: Context, memory: Memory, action: DeleteMessages) -> None:
    """Delete the messages whose volumes are stored, or done."""
    spec, inbox, leases = memory.job.spec, memory.books.inbox, memory.books.leases
    if spec is None or spec.volumes.queue is None:
        return
    source, receipts = spec.volumes.queue, inbox.stored | leases.receipts(action.done)
    try:
        connection = ctx.connections.find(source.connection, "sqs", memory.job.namespace)
        gone = await ctx.connections.call(
            connection, lambda it: Queue(it, source.url).delete(receipts)
        )
    except ConnectionTrouble as error:
        inbox.note_undeleted(_fact(ctx, error))
        return
    inbox.note_deleted(receipts, gone)
    leases.note_gone({name: receipts[name] for name in gone})
    if len(gone) < len(receipts):
        said = f"spec.volumes.queue: {len(receipts) - len(gone)} messages are not deleted; again"
        inbox.note_undeleted(Fact(ctx.clock.now(), UNAVAILABLE, f"{said} in a while"))
