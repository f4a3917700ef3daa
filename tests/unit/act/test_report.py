"""How `report.csv` is made of what stands in S3."""

import csv
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.storage import failure_report_parts as failure_report
from bec_operator.act.storage import parts
from bec_operator.act.storage.report_csv import compile_report
from bec_operator.act.storage.save_results import _report_failures
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.failure_report import Line
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.part import Part
from bec_operator.settings import Settings
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_s3 import FakeStore
from tests.unit.worker_api.scene import JOB

FOLDER = "artefacts/ocr/_job/"
REPORT = f"{FOLDER}report.csv"
VOLUMES = [Volume("W1", f"I{n}") for n in range(4)]


def _line(index: int, message: str, **more: Any) -> bytes:
    line = {
        "jobUid": JOB.uid,
        "index": index,
        "wId": "W1",
        "iId": f"I{index}",
        "iVersion": "",
        "class": "Terminal",
        "message": message,
        "attempts": [],
    }
    return json.dumps({**line, **more}).encode() + b"\n"


class Stage:
    """A job of which some volumes have failed, and its bucket."""

    def __init__(self, *failed: int) -> None:
        self.store = FakeStore()
        api: Any = None  # S3 alone is needed
        storage = Storage(self.store, 1)
        self.ctx = Context(api, storage, Cache(lambda _: None), Clock(), Settings())
        self.memory = Memory(JOB)
        ledger = Ledger.fresh("sha", len(VOLUMES))
        self.memory.load(VOLUMES, [f"{v}/" for v in VOLUMES], ledger, 0.0)
        for index in failed:
            ledger.settle(index, Outcome.FAILED, 2)

    async def compile(self) -> list[str] | None:
        """Compile, and return what the report says of each volume; None if there is none."""
        await compile_report(self.ctx, self.memory)
        if REPORT not in self.store.objects:
            return None
        rows = csv.DictReader(self.store.objects[REPORT].decode().splitlines())
        return [f"{row['i_id']}: {row['message']}" for row in rows]


async def test_the_parts_are_read_in_the_order_of_their_numbers() -> None:
    stage = Stage(1, 2)
    stage.store.objects[f"{FOLDER}failures-2.jsonl"] = _line(1, "second") + _line(2, "other")
    stage.store.objects[f"{FOLDER}failures-10.jsonl"] = _line(1, "tenth")
    assert await stage.compile() == ["I1: tenth", "I2: other"]


async def test_what_is_not_ours_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(0, 1, 2)
    stage.store.objects[f"{FOLDER}failures-1.jsonl"] = b"".join(
        (
            _line(0, "torn"),
            _line(0, "of an older Job", jobUid="older"),
            _line(1, "of another list", iId="I9"),
            _line(9, "past the end"),
            b"no line\n",
        )
    )
    ledger_says = "the worker says that no retry can help"
    told = await stage.compile()
    assert told == ["I0: torn", f"I1: {ledger_says}", f"I2: {ledger_says}"]
    assert "failures-1.jsonl: 1 lines are not ours" in caplog.text


async def test_where_nothing_failed_there_is_none() -> None:
    stage = Stage()
    assert await stage.compile() is None
    assert stage.memory.ledger is not None
    assert stage.memory.books.report.is_current(stage.memory.ledger)


async def test_an_old_report_is_emptied_when_all_is_mended() -> None:
    stage = Stage(1)
    assert await stage.compile() is not None
    assert stage.memory.ledger is not None
    stage.memory.ledger.settle(1, Outcome.SUCCEEDED)
    assert await stage.compile() == []


async def test_a_failure_that_is_not_stored_yet_is_in_it() -> None:
    stage = Stage(3)
    stage.memory.books.report.unsaved[3] = Line.model_validate_json(_line(3, "just now"))
    assert await stage.compile() == ["I3: just now"]


async def test_s3_that_does_not_answer_is_asked_again() -> None:
    stage = Stage(1)
    stage.store.objects[f"{FOLDER}failures-1.jsonl"] = _line(1, "torn")
    stage.store.trouble = "Forbidden"
    assert await stage.compile() is None
    fact, ledger = stage.memory.facts.storage, stage.memory.ledger
    assert fact is not None
    assert ledger is not None
    assert fact.reason == "StorageForbidden"
    assert not stage.memory.books.report.is_current(ledger)
    stage.store.trouble = None
    assert await stage.compile() == ["I1: torn"]


async def test_what_changes_while_it_is_written_is_not_forgotten() -> None:
    stage = Stage(1)
    ledger = stage.memory.ledger
    assert ledger is not None
    put = stage.store.put

    def slow(bucket: str, key: str, body: bytes, content_type: str = "") -> None:
        put(bucket, key, body, content_type)
        ledger.settle(2, Outcome.FAILED, 2)

    stage.store.put = slow  # type: ignore[method-assign]
    await stage.compile()
    assert not stage.memory.books.report.is_current(ledger)


async def test_a_part_that_is_far_too_large_is_left_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_AT_MOST", 1000)
    stage = Stage(1)
    stage.store.objects[f"{FOLDER}failures-1.jsonl"] = _line(1, "torn")
    stage.store.objects[f"{FOLDER}failures-2.jsonl"] = _line(1, "x" * 1000)
    assert await stage.compile() == ["I1: torn"]
    assert "failures-2.jsonl has 1," in caplog.text


async def test_a_report_of_another_size_is_replaced() -> None:
    stage = Stage(1)
    stage.store.objects[REPORT] = b"x" * 5_000_000
    assert await stage.compile() == ["I1: the worker says that no retry can help"]


class CountingStore(FakeStore):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = 0

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        self.lists += 1
        return super().list_keys(bucket, prefix)


def _parts(store: FakeStore) -> list[str]:
    return [line.message for line in failure_report.read(store, "b", FOLDER)]


def test_many_failures_are_few_objects_and_one_list() -> None:
    store, part = CountingStore(), Part()
    for number in range(2000):
        part = failure_report.FAILURES.append(store, "b", FOLDER, part, _line(1, f"{number:0100}"))
    assert store.lists == 1
    assert len(store.objects) == 2
    assert _parts(store) == [f"{number:0100}" for number in range(2000)]


def test_two_writers_never_write_to_one_place() -> None:
    store, parts = FakeStore(), [Part(), Part()]
    store.objects[f"{FOLDER}failures-7.jsonl"] = _line(1, "earlier")
    for number in range(20):
        which = number % 2
        parts[which] = failure_report.FAILURES.append(
            store, "b", FOLDER, parts[which], _line(1, str(number))
        )
    assert _parts(store)[0] == "earlier"
    assert sorted(_parts(store)[1:], key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize("first", [b"", _line(1, "first")])
async def test_a_write_that_comes_late_takes_nothing_away(first: bytes) -> None:
    stage = Stage(1)
    objects, report = stage.store.objects, stage.memory.books.report
    if first:
        report.part = failure_report.FAILURES.append(stage.store, "b", FOLDER, Part(), first)
    stage.memory.books.report.unsaved[1] = Line.model_validate_json(_line(1, "second"))
    before, late = dict(objects), FakeStore()
    late.objects.update(before)
    failure_report.FAILURES.append(late, "b", FOLDER, report.part, _line(1, "late"))
    stage.store.trouble = "Unavailable"
    assert not await _report_failures(stage.ctx, stage.memory)
    assert stage.memory.books.report.unsaved
    stage.store.trouble = None
    assert await _report_failures(stage.ctx, stage.memory)
    assert not stage.memory.books.report.unsaved
    objects.update({key: body for key, body in late.objects.items() if before.get(key) != body})
    assert {"second", "late"} <= set(_parts(stage.store))
    assert not first or "first" in _parts(stage.store)
