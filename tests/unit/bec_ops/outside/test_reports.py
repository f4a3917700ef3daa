"""Reports that wait in a file: their order, other processes, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.outside.client import Seat
from bec_ops.outside.reports import KeptReports, Records, deliver_left

ONE, TWO = Seat("run-1", "a" * 32), Seat("run-2", "b" * 32)


class Receiver:
    """Takes reports; `error` is raised instead, while there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.got: list[tuple[str, Any]] = []
        self.error = error

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        if self.error is not None:
            raise self.error
        self.got.append((kind, fields.get("n")))


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def test_they_survive_in_order_and_are_told_once(records: Records, tmp_path: Path) -> None:
    away = Receiver(UnreachableError("away"))
    for number, kind in enumerate(("log", "failed", "done")):
        KeptReports(records, ONE).add(kind, {"n": number, "text": "བོད"})
    assert not KeptReports(records, ONE).deliver(away.send)
    assert records.count() == {"log": 1, "failed": 1, "done": 1}
    receiver, later = Receiver(), KeptReports(Records(tmp_path), ONE)
    assert later.deliver(receiver.send)
    assert later.deliver(receiver.send)
    assert receiver.got == [("log", 0), ("failed", 1), ("done", 2)]
    assert records.count() == {}
    assert records.path.stat().st_mode & 0o777 == 0o600


def test_each_seat_and_process_speaks_for_itself(records: Records) -> None:
    again = Seat(ONE.name, "c" * 32)
    for number, seat in enumerate((ONE, TWO, again)):
        KeptReports(records, seat).add("done", {"n": number})
    receiver = Receiver()
    assert KeptReports(records, TWO).deliver(receiver.send)
    assert receiver.got == [("done", 1)]
    assert records.seats() == [ONE, again]


def test_what_earlier_processes_could_not_tell(records: Records) -> None:
    for number, seat in enumerate((ONE, TWO, ONE)):
        KeptReports(records, seat).add("done", {"n": number})
    senders = {ONE: Receiver(UnreachableError("away")), TWO: Receiver()}

    def deliver(free: set[str]) -> bool:
        return deliver_left(
            records, lambda seat: seat.name in free, lambda seat: senders[seat].send
        )

    assert deliver(set())
    assert not deliver({"run-1"})
    assert deliver({"run-2"})
    assert senders[TWO].got == [("done", 1)]
    senders[ONE].error = None
    assert deliver({"run-1", "run-2"})
    assert senders[ONE].got == [("done", 0), ("done", 2)]


def test_what_is_about_a_task_that_is_gone_is_dropped_with_a_line(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    reports = KeptReports(records, ONE)
    reports.add("done", {"n": 1})
    assert reports.deliver(Receiver(RefusedError("Gone", "it is another's")).send)
    assert records.count() == {}
    assert "the operator does not take the report 'done': Gone: it is another's" in caplog.text


def test_who_is_not_known_any_more_keeps_them(records: Records) -> None:
    reports = KeptReports(records, ONE)
    reports.add("done", {"n": 1})
    assert not reports.deliver(Receiver(RefusedError("Unauthenticated", "who?")).send)
    assert records.count() == {"done": 1}


def test_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "worker.sqlite").write_text("not a database, but long enough to look like one" * 99)
    with pytest.raises(MisconfiguredError, match=r"worker\.sqlite cannot be used"):
        Records(tmp_path)
