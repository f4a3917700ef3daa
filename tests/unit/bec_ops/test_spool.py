"""Reports that wait: their order, their way across a restart, and files that are no good."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.spool import NAME, Spool


class Receiver:
    """Takes reports until told otherwise."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.errors: dict[int, Exception] = {}  # by number; each is raised once

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        assert kind == "done"
        if error := self.errors.pop(fields["n"], None):
            raise error
        self.got.append(fields["n"])


def filled(spool: Spool, *numbers: int) -> Spool:
    for number in numbers:
        spool.add("done", {"n": number})
    return spool


@pytest.mark.parametrize("name", ["", NAME])
def test_reports_are_delivered_in_order_once(tmp_path: Path, name: str) -> None:
    receiver = Receiver()
    spool = filled(Spool(tmp_path / name if name else None), 1, 2, 3)
    assert spool.deliver(receiver.send)
    assert spool.deliver(receiver.send)
    assert receiver.got == [1, 2, 3]


def test_one_that_cannot_be_delivered_holds_up_those_after_it(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.errors[2] = UnreachableError("away")
    spool = filled(Spool(tmp_path / NAME), 1, 2, 3)
    assert not spool.deliver(receiver.send)
    assert receiver.got == [1]
    assert spool.deliver(receiver.send)
    assert receiver.got == [1, 2, 3]


def test_it_is_tried_until_the_time_is_over(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.errors[1] = UnreachableError("away")
    assert filled(Spool(tmp_path / NAME), 1).deliver(receiver.send, seconds=10)
    assert receiver.got == [1]


@pytest.mark.parametrize("word", ["Gone", "Forbidden", "Invalid"])
def test_what_is_never_taken_is_dropped(
    tmp_path: Path, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    receiver.errors[1] = RefusedError(word, "no")
    spool = filled(Spool(tmp_path / NAME), 1, 2)
    assert spool.deliver(receiver.send)
    assert spool.deliver(receiver.send)
    assert receiver.got == [2]
    assert f"'done': {word}" in caplog.text


def test_what_may_be_taken_later_waits(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.errors[1] = RefusedError("Unauthenticated", "the token has expired")
    spool = filled(Spool(tmp_path / NAME), 1)
    assert not spool.deliver(receiver.send)
    assert spool.deliver(receiver.send)
    assert receiver.got == [1]


def test_what_another_process_is_to_deliver_stays(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.errors[1] = RefusedError("StaleSession", "another process has registered")
    spool = filled(Spool(tmp_path / NAME), 1)
    with pytest.raises(RefusedError, match="another process"):
        spool.deliver(receiver.send, seconds=60)
    assert Spool(tmp_path / NAME).deliver(receiver.send)
    assert receiver.got == [1]


def test_reports_outlive_the_process(tmp_path: Path) -> None:
    filled(Spool(tmp_path / "new/folder" / NAME), 1, 2)
    receiver = Receiver()
    assert filled(Spool(tmp_path / "new/folder" / NAME), 3).deliver(receiver.send)
    assert receiver.got == [1, 2, 3]


def other_table(file: Path) -> None:
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE reports (something)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_bytes(b"not a database" * 100), other_table]
)
def test_a_broken_file_is_put_aside(tmp_path: Path, spoil: Any) -> None:
    spoil(tmp_path / NAME)
    receiver = Receiver()
    filled(Spool(tmp_path / NAME), 1)
    assert (tmp_path / "spool.broken").exists()
    assert Spool(tmp_path / NAME).deliver(receiver.send)
    assert receiver.got == [1]


def test_where_no_file_can_be_memory_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    receiver = Receiver()
    assert filled(Spool(tmp_path / "file" / NAME), 1).deliver(receiver.send)
    assert receiver.got == [1]
    assert "kept in memory" in caplog.text


def test_a_file_that_can_be_written_no_more_is_left_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bec_ops.link.spool._LOCK_SECONDS", 0.01)
    receiver = Receiver()
    spool = filled(Spool(tmp_path / NAME), 1)
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")  # as good as a full disk
    filled(spool, 2)
    other.execute("ROLLBACK")
    assert filled(spool, 3).deliver(receiver.send)
    assert receiver.got[-2:] == [2, 3]
