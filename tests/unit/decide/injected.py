"""Faults that nobody foresaw: an exception of any sort, at any place where one Job is worked on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest.mock import patch

from bec_operator.act import passes
from bec_operator.act.doings import DOINGS
from bec_operator.act.kube import pod_records, records
from bec_operator.api.names import JOB_LABEL
from bec_operator.decide.jobs import announcing
from bec_operator.decide.memory.memory import Memory
from tests.unit.decide.fake_s3 import FakeStore

SECRET = "t0ps3cret"  # noqa: S105 - what nobody may ever read
ERRORS: list[type[Exception]] = [
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
    IndexError,
    ValueError,
    OSError,
    MemoryError,
    NotImplementedError,
]
Kind = Literal["action", "pass", "reading", "answer", "s3"]
ACTIONS = tuple(sorted(kind.__name__ for kind in DOINGS))
PASSES = ("decide", "observe", "observe_job", "job_status", "judge_gates", "note", "view_pool")
READINGS = ("jobs", "volumetasks", "pods", "deployments")
ANSWERS = (
    "POST volumetasks",
    "POST pods",
    "PUT configmaps",
    "POST configmaps",
    "PATCH jobs",
    "PATCH volumetasks",
    "DELETE volumetasks",
    "DELETE pods",
    "POST deployments",
    "PATCH deployments",
)
S3 = ("success.json", "manifest-", "failures-", "report.csv", "list")


@dataclass
class Fault:
    """What breaks for one Job: `what` at a place of a kind.

    An action breaks before it is done, or right after. `times` is how often; None: until `mended`.
    `fired` has when it did.
    """

    job: str
    kind: Kind
    what: str
    error: type[Exception] = KeyError
    after: bool = False
    times: int | None = None
    mended: bool = False
    fired: list[float] = field(default_factory=list)
    now: Callable[[], float] = lambda: 0.0

    @property
    def lasts(self) -> bool:
        """Whether it goes on for ever, unless it is mended."""
        return self.times is None and not self.mended

    def hit(self, job: str, kind: Kind, what: str) -> None:
        """Break what is done for a Job, if it is to break."""
        if self.mended or (job, kind, what) != (self.job, self.kind, self.what):
            return
        if self.times is not None and len(self.fired) >= self.times:
            return
        self.fired.append(self.now())
        raise self.error(*([] if self.error is TimeoutError else [SECRET]))


@contextmanager
def injected(fault: Fault) -> Iterator[None]:
    """Let it break within. What is patched is named by module: who moves it, moves it here, too."""
    with ExitStack() as stack:
        if fault.kind == "action":
            kind = next(kind for kind in DOINGS if kind.__name__ == fault.what)
            do, lane = DOINGS[kind]
            stack.enter_context(patch.dict(DOINGS, {kind: (_broken_action(fault, do), lane)}))
        elif fault.kind == "pass":
            where, name, job_of = _PLACES[fault.what]
            _break(stack, fault, where, name, job_of)
        elif fault.kind == "reading":
            where, name, job_of = _READERS[fault.what]
            _break(stack, fault, where, name, job_of)
        yield


def _broken_action(fault: Fault, do: Any) -> Any:
    async def wrong(ctx: Any, memory: Memory, action: Any) -> None:
        if fault.after:
            await do(ctx, memory, action)
        fault.hit(memory.job.name, "action", fault.what)
        if not fault.after:
            await do(ctx, memory, action)

    return wrong


def _break(stack: ExitStack, fault: Fault, where: Any, name: str, job_of: Any) -> None:
    right = getattr(where, name)

    def wrong(*args: Any, **named: Any) -> Any:
        fault.hit(job_of(*args), fault.kind, fault.what)
        return right(*args, **named)

    stack.enter_context(patch.object(where, name, wrong))


_Place = tuple[Any, str, Callable[..., str]]
_PLACES: dict[str, _Place] = {
    "decide": (passes, "decide", lambda seen: seen.memory.job.name),
    "observe": (passes, "observe_attempts", lambda memory, *_: memory.job.name),
    "observe_job": (Memory, "observe_job", lambda memory, _: memory.job.name),
    "job_status": (announcing, "job_status", lambda memory, *_: memory.job.name),
    "judge_gates": (passes, "judge_gates", lambda memory, *_: memory.job.name),
    "note": (passes, "_note", lambda _, memory, *__: memory.job.name),
    "view_pool": (passes, "observe_pool", lambda _, memory, *__: memory.job.name),
}
_READERS: dict[str, _Place] = {
    "jobs": (records, "_spec", lambda raw: str(raw["metadata"]["name"])),
    "volumetasks": (records, "_index", lambda spec: str(spec["job"])),
    "pods": (pod_records, "_grace_ends", lambda _, labels: str(labels.get(JOB_LABEL))),
    "deployments": (records, "_refused", lambda raw: str(raw["metadata"]["labels"][JOB_LABEL])),
}


class BreakingStore(FakeStore):
    """An S3 whose client breaks at some keys, in a way that is no answer of S3."""

    def __init__(self, touched: Callable[[str], None]) -> None:
        super().__init__()
        self.listed: list[str] = []  # from where on folders were listed
        self._touched = touched

    def _check(self, bucket: str, key: str) -> None:
        super()._check(bucket, key)
        self._touched(key)

    def list_folders(self, bucket: str, prefix: str, first: str = "") -> Iterator[str]:
        self._touched(f"{prefix}list")
        self.listed.append(first)
        return super().list_folders(bucket, prefix, first)
