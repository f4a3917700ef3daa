"""The outbox in S3: results that somebody waits for, `outbox-<uid>-<number>-<writer>.jsonl`.

The beginning of the Job's UID is in the name: others may have their reports in the same folder.

They are written before the ledger, as the failure report is: a crash between the two tells a result
twice, never not at all.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.parts import PART_BYTES, Parts, lines_of
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.task import succeeded_attempt
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import lenient, precise
from bec_operator.decide.sight.seen import MarkerSeen, PodSeen, TaskSeen
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_operator.decide.volumes.part import Part
from bec_operator.decide.volumes.reasons import label_of, meaning_of
from bec_operator.decide.volumes.results import OUTCOMES, STOOD_BEFORE, Result
from bec_ops.contract.location import reports_prefix
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume

UID_SHOWN = 8  # characters: 32 random bits
PART_AT_MOST = 2 * 1024 * 1024  # bytes: ours have 256 KiB, and the last line may be a long one
MESSAGE_AT_MOST = 4096  # characters of what is said of one volume
GONE_AT_ONCE = 100  # parts that are deleted one after the other


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of some volumes as the ledger is about to be stored; nothing in it changes."""

    job_uid: str
    bucket: str
    ledger: Ledger
    volumes: Sequence[Volume]
    prefixes: Sequence[str]
    tasks: Mapping[int, TaskSeen]
    readings: Mapping[int, MarkerSeen]
    pods: Mapping[int, PodSeen]
    said: Callable[[int], str]
    told: str

    def result(self, index: int) -> Result:
        """Return what became of one."""
        outcome, code = self.ledger.outcome(index), self.ledger.code(index)
        volume = self.volumes[index]
        task, reading = self.tasks.get(index), self.readings.get(index)
        output = f"s3://{self.bucket}/{self.prefixes[index]}"
        done = outcome is Outcome.SUCCEEDED
        failure = label_of(code) if not done else STOOD_BEFORE if code == ALREADY_DONE else ""
        return Result(
            job_uid=self.job_uid,
            index=index,
            w_id=volume.w_id,
            i_id=volume.i_id,
            i_version=volume.i_version,
            outcome=OUTCOMES[outcome],
            failure=failure,
            message=self._message(index, task, reading)[:MESSAGE_AT_MOST],
            output=output,
            task=task.name if task is not None else "",
            task_uid=task.uid if task is not None else "",
            attempts=self._attempts(task, reading, output, done=done) if task is not None else [],
            made=reading.made if reading is not None and done else None,
            told=self.told,
            turn=max(self.ledger.retried.moment, self.ledger.redone.moment),
        )

    def _message(self, index: int, task: TaskSeen | None, reading: MarkerSeen | None) -> str:
        outcome = self.ledger.outcome(index)
        if outcome is Outcome.WAITING:
            return ""
        if outcome is Outcome.SUCCEEDED:
            return reading.message if reading is not None else ""
        failed = task.failed[-1].message if task is not None and task.failed else ""
        return self.said(index) or failed or meaning_of(self.ledger.code(index))

    def _attempts(
        self, task: TaskSeen, reading: MarkerSeen | None, output: str, *, done: bool
    ) -> list[Attempt]:
        if not done or (self.ledger.code(task.index) == ALREADY_DONE):
            return task.failed
        pod = self.pods.get(task.index)
        last = succeeded_attempt(task, pod, reading, output)
        written = precise(reading.written) if reading is not None and reading.written else None
        own = pod if pod is not None and not pod.seat_in else None
        end = own.end_time if own is not None and own.end_time else written
        code = own.exit_code if own is not None else None
        last = last.model_copy(update={"end_time": last.end_time or end, "exit_code": code})
        return [*task.failed, last]


async def append_results(
    ctx: Context,
    memory: Memory,
    ledger: Ledger,
    indices: Collection[int],
) -> bool:
    """Write what became of the volumes at `indices` by `ledger`; return whether it stands."""
    outbox = memory.outbox
    if not indices or not list(outbox.receivers):
        return True
    known = _known(ctx, memory, ledger, indices)
    parts, written, stands = _parts(memory), _Written(outbox.part), True
    try:
        await ctx.storage.call(
            "outbox", lambda store: _write(store, known, sorted(indices), parts, written)
        )
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        stands = False
    if written.keys:
        outbox.note_written(written.part, [*written.keys], ctx.clock.now())
    if not stands:
        outbox.close_part()  # nobody knows what stands there
    return stands


@dataclass(slots=True)
class _Written:
    """The part that was written last, and the keys of all that stand."""

    part: Part
    keys: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of one Job, and the folder that has them."""

    named: Parts
    folder: str

    def keys(self, store: Store, bucket: str) -> list[str]:
        return sorted(key for _, key in self.named.keys(store, bucket, self.folder))

    def append(self, store: Store, bucket: str, part: Part, body: bytes) -> Part:
        return self.named.append(store, bucket, self.folder, part, body)


def _parts(memory: Memory) -> _Parts:
    uid = "".join(c for c in memory.job.uid if c.isascii() and c.isalnum())[:UID_SHOWN]
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    return _Parts(Parts(f"outbox-{uid}", digits=9), folder)


def _known(
    ctx: Context,
    memory: Memory,
    ledger: Ledger,
    indices: Collection[int],
) -> _Known:
    books = memory.books
    tasks = {index: task for index in indices if (task := books.tasks.get(index)) is not None}
    readings = {i: memory.outbox.readings[i] for i in indices if i in memory.outbox.readings}
    pods: dict[int, PodSeen] = {}
    for index, task in tasks.items():
        if (reading := books.known_of(task).reading) is not None:
            readings[index] = reading
        if (pod := _pod(ctx, task)) is not None:
            pods[index] = pod
    return _Known(
        job_uid=memory.job.uid,
        bucket=memory.output.bucket,
        ledger=ledger,
        volumes=books.volumes,
        prefixes=books.prefixes,
        tasks=tasks,
        readings=readings,
        pods=pods,
        said=books.report.message_of,
        told=precise(ctx.clock.now()),
    )


def _pod(ctx: Context, task: TaskSeen) -> PodSeen | None:
    """Return the pod of the last attempt of a task, or as it was when it went."""
    pod = ctx.cache.pods.get(task.namespace, task.pod)
    if pod is None or pod.owner_uid != task.uid:
        pod = ctx.cache.parted.get(task.uid)
    return pod if pod is not None and pod.name == task.pod else None


def _write(
    store: Store, known: _Known, indices: Sequence[int], parts: _Parts, written: _Written
) -> None:
    """Write in parts of a bounded size, in a thread: there may be very many lines."""
    for body in _bodies(known, indices):
        written.part = parts.append(store, known.bucket, written.part, body)
        written.keys[parts.named.key(parts.folder, written.part)] = None


def _bodies(known: _Known, indices: Sequence[int]) -> Iterator[bytes]:
    lines, size = list[bytes](), 0
    for index in indices:
        result = known.result(index)
        line = result.model_dump_json(by_alias=True, exclude_defaults=True).encode() + b"\n"
        if lines and size + len(line) > PART_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    yield b"".join(lines)


async def list_parts(ctx: Context, memory: Memory) -> None:
    """See which parts somebody may wait for. Raises StoreError."""
    bucket, parts = memory.output.bucket, _parts(memory)
    keys = await ctx.storage.call("outbox", lambda store: parts.keys(store, bucket))
    memory.outbox.note_listed(keys, ctx.clock.now())


async def read_part(ctx: Context, memory: Memory, key: str) -> list[Result]:
    """Return the results of a part; none if another process has delivered it. Raises StoreError."""
    bucket, uid = memory.output.bucket, memory.job.uid

    def read(store: Store) -> list[Result]:
        lines = lines_of(store, bucket, key, Result, PART_AT_MOST)
        return [result for result in lines if result.job_uid == uid]

    found = await ctx.storage.call("outbox", read)
    if found:
        memory.outbox.note_age(key, lenient(found[0].told))
    return found


async def delete_spent(ctx: Context, memory: Memory) -> None:
    """Delete the parts that all have got; one that cannot be deleted is told, and stays for now."""
    outbox, bucket = memory.outbox, memory.output.bucket
    while outbox.may_delete(ctx.clock.now()) and (keys := outbox.spent[:GONE_AT_ONCE]):
        try:
            await ctx.storage.call("outbox", partial(_delete, bucket=bucket, keys=keys))
        except StoreError as error:
            outbox.note_undeletable(storage_fact(error, ctx.clock.now()))
        else:
            outbox.note_gone(keys)


def _delete(store: Store, bucket: str, keys: Sequence[str]) -> None:
    for key in keys:
        store.delete(bucket, key)
