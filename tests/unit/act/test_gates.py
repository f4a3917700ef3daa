"""Sweeps for markers of others: a LIST, then only what has a folder, a bounded number at a time."""

import pytest

from bec_operator.act.ground.api_server import ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.storage import gates as act_gates
from bec_operator.act.storage.gates import AGAIN_AFTER_TROUBLE, sweep_gate
from bec_operator.api.dependency import Dependency
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.actions import SweepGate
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.gate import Gate, Place
from bec_operator.decide.volumes.gates import Gates
from bec_operator.settings import Settings
from bec_ops.contract.s3.store import READ_AT_MOST, Content, StoreError
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_s3 import FakeStore

PREFIX = "a/{job_id}/{w_id}-{i_id}/"
VOLUMES = [Volume("W", f"I{n}") for n in range(8)]
MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}'
NOW = 1000.0
PAUSE = 60.0


class StillClock(Clock):
    """A clock that stands."""

    def now(self) -> float:
        return NOW


class CountingStore(FakeStore):
    """Notes which keys were read; some may be forbidden."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.forbidden = ""

    def fetch(self, bucket: str, key: str, limit: int = READ_AT_MOST) -> Content | None:
        self.reads.append(key.split("/")[2])
        if self.forbidden and self.forbidden in key:
            raise StoreError("Forbidden", f"S3 forbids access to s3://{bucket}/{key}")
        return super().fetch(bucket, key, limit)


class Sweeping:
    """A job whose volumes all wait for the artefacts of another."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.store = CountingStore()
        self.place = Place("ldv1", "b", prefix)
        self.memory = Memory(JobSeen("ns", "ocr", "uid", 1, 1, "2026", None))
        self.memory.books.volumes = VOLUMES
        self.memory.books.frontier = Frontier(len(VOLUMES))
        for index in range(len(VOLUMES)):
            self.memory.books.frontier[index] = VolumeState.GATED
        self.memory.books.gates = Gates([Dependency(job="ldv1")], VOLUMES)
        self.gate.locate(self.place)

    @property
    def gate(self) -> Gate:
        return self.memory.books.gates.gates[0]

    def put(self, *numbers: int, body: bytes = MARKER) -> None:
        for number in numbers:
            self.store.objects[f"a/ldv1/W-I{number}/success.json"] = body

    async def sweep(self) -> list[str]:
        """Sweep once; return the volumes whose markers were read."""
        self.store.reads.clear()
        ctx = Context(
            api=ApiServer.__new__(ApiServer),  # which nobody calls
            storage=Storage(self.store, 1),
            cache=Cache(lambda _: None),
            clock=StillClock(),
            settings=Settings(gate_seconds=PAUSE),
        )
        await sweep_gate(ctx, self.memory, SweepGate(0, self.place))
        self.gate.follow_artefacts()
        self.memory.books.gates.apply(self.memory.books.frontier)
        return self.store.reads

    @property
    def open(self) -> list[int]:
        return self.memory.books.frontier.first(VolumeState.STARTABLE, len(VOLUMES))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most three markers in a sweep."""
    monkeypatch.setattr(act_gates, "MARKERS_AT_MOST", 3)
    monkeypatch.setattr(act_gates, "MARKERS_AT_ONCE", 2)


async def test_only_what_has_a_folder_is_read() -> None:
    sweeping = Sweeping()
    sweeping.put(1, 4)
    sweeping.put(6, body=MARKER[:20])
    assert await sweeping.sweep() == ["W-I1", "W-I4", "W-I6"]
    assert sweeping.open == [1, 4]
    assert sweeping.gate.sweep_at == NOW + PAUSE
    assert await sweeping.sweep() == ["W-I6"]  # it may have become a good one


@pytest.mark.usefixtures("few")
async def test_sweeps_follow_each_other_while_they_find_something() -> None:
    sweeping = Sweeping()
    sweeping.put(*range(5))
    sweeping.put(5, 6, 7, body=b"torn")
    assert await sweeping.sweep() == ["W-I0", "W-I1", "W-I2"]
    assert sweeping.gate.sweep_at == NOW
    assert await sweeping.sweep() == ["W-I3", "W-I4", "W-I5"]
    assert sweeping.gate.sweep_at == NOW
    assert await sweeping.sweep() == ["W-I6", "W-I7", "W-I5"]  # it goes round
    assert sweeping.gate.sweep_at == NOW + PAUSE
    assert sweeping.open == [0, 1, 2, 3, 4]


async def test_one_forbidden_key_holds_up_no_other() -> None:
    sweeping = Sweeping()
    sweeping.put(0, 1, 2)
    sweeping.store.forbidden = "W-I1/"
    await sweeping.sweep()
    assert sweeping.open == [0, 2]
    trouble = sweeping.memory.books.gates.trouble(sweeping.memory.books.frontier)
    assert trouble is not None
    assert trouble.reason == "StorageForbidden"
    assert trouble.message.startswith("dependsOn ldv1: S3 forbids access to s3://b/a/ldv1/W-I1/")
    assert sweeping.gate.sweep_at == NOW + AGAIN_AFTER_TROUBLE


async def test_s3_is_away() -> None:
    sweeping = Sweeping()
    sweeping.put(0)
    sweeping.store.trouble = "Unavailable"
    await sweeping.sweep()
    assert sweeping.open == []
    trouble = sweeping.memory.books.gates.trouble(sweeping.memory.books.frontier)
    assert trouble is not None
    assert trouble.reason == "StorageUnavailable"
    sweeping.store.trouble = None
    await sweeping.sweep()
    assert sweeping.open == [0]
    assert sweeping.memory.books.gates.trouble(sweeping.memory.books.frontier) is None


async def test_a_template_with_no_place_for_a_volume() -> None:
    sweeping = Sweeping("a/{job_id}/{w_id}{i_id}/")
    await sweeping.sweep()
    trouble = sweeping.memory.books.gates.trouble(sweeping.memory.books.frontier)
    assert trouble is not None
    assert trouble.reason == "InvalidOutput"
    assert "write {w_id}-{i_id}" in trouble.message


async def test_what_is_found_at_an_old_place_counts_no_more() -> None:
    sweeping = Sweeping()
    sweeping.put(0)
    sweeping.gate.locate(Place("ldv1", "b", PREFIX, redone=1))
    assert await sweeping.sweep() == []
    assert sweeping.open == []
