"""Artefacts: their names, and that none is forgotten before the marker."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bec_ops.contract.errors import (
    Interrupted,
    MisconfiguredError,
    MissingArtefactsError,
    RetryableError,
)
from bec_ops.contract.s3.places import FolderPlace
from bec_ops.contract.s3.transfers import Watch
from bec_ops.contract.task import Task
from bec_ops.runtime.outputs import TaskOutput


def task_in(folder: Path) -> Task:
    return Task(job_id="j", w_id="W1", i_id="I1", output_uri=f"file://{folder}/", worker_id="w")


class Kinds(FolderPlace):
    """A folder that notes the types, and refuses some names the first time."""

    def __init__(self, folder: Path, refused: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.kinds: dict[str, str] = {}
        self._refused = list(refused)

    def put(self, name: str, body: bytes, content_type: str) -> None:
        if name in self._refused:
            self._refused.remove(name)
            raise OSError(f"no {name}")
        self.kinds[name] = content_type
        super().put(name, body, content_type)

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        self.kinds[name] = content_type
        super().upload(name, file, content_type, watch)


def test_what_is_written_is_there_with_its_type(tmp_path: Path) -> None:
    place = Kinds(tmp_path / "out")
    output = TaskOutput(place, task_in(tmp_path))
    output.write("text/1.txt", "ཀ")
    output.write("a.json", b"{}")
    output.write("b", b"\0", "x/y")
    source = tmp_path / "page.csv.gz"
    source.write_bytes(b"zipped")
    output.upload("page.csv.gz", source)
    assert (tmp_path / "out/text/1.txt").read_text() == "ཀ"
    assert (tmp_path / "out/page.csv.gz").read_bytes() == b"zipped"
    assert place.kinds == {
        "text/1.txt": "text/plain; charset=utf-8",
        "a.json": "application/json",
        "b": "x/y",
        "page.csv.gz": "application/octet-stream",
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.json", "b", "page.csv.gz", "text")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "../a",
        "a/../../b",
        "a//b",
        "./a",
        "a/",
        "success.json",
        "success.json/a",
        "_logs",
        "_logs/x",
        "a\\b",
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    """A folder `success.json` or a file `_logs` would be in the marker's and the log's way."""
    with pytest.raises(ValueError, match=r"page-1\.txt|written for you|place of logs|backslash"):
        TaskOutput(FolderPlace(tmp_path), task_in(tmp_path)).write(name, b"")


def test_a_write_that_failed_in_silence_fails_the_task(tmp_path: Path) -> None:
    output = TaskOutput(Kinds(tmp_path, refused=("a", "b")), task_in(tmp_path))
    for name in ("a", "b", "c"):
        thread = threading.Thread(target=_swallow, args=(output, name))
        thread.start()
        thread.join()
    output.write("b", b"again")
    with pytest.raises(RetryableError, match=r"1 of the artefacts .* such as a: no a"):
        output.seal()


@pytest.mark.parametrize(("name", "data"), [("a.txt", "x\ud800"), ("_logs/a.txt", "x")])
def test_what_is_wrong_with_a_write_itself_is_not_forgotten_either(
    tmp_path: Path, name: str, data: str
) -> None:
    """A text that has no UTF-8 and a name that is refused, in a thread whose end nobody reads."""
    output = TaskOutput(FolderPlace(tmp_path), task_in(tmp_path))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(output.write, name, data)
    with pytest.raises(RetryableError, match=f"such as {name}: ") as caught:
        output.seal()
    assert isinstance(caught.value.__cause__, ValueError)
    assert output.sizes == {}


def test_a_text_without_utf_8_is_made_good_by_another_one(tmp_path: Path) -> None:
    output = TaskOutput(FolderPlace(tmp_path), task_in(tmp_path))
    with pytest.raises(UnicodeEncodeError):
        output.write("a.txt", "x\ud800")
    output.write("a.txt", "x")
    output.seal()
    assert output.sizes == {"a.txt": 1}


def test_a_write_that_was_stopped_in_a_thread_stops_the_task(tmp_path: Path) -> None:
    def stop(moved: int) -> None:
        del moved
        raise Interrupted("told to stop")

    source = tmp_path / "source"
    source.write_bytes(b"x")
    output = TaskOutput(FolderPlace(tmp_path / "out"), task_in(tmp_path), stop)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(output.upload, "a", source)
    with pytest.raises(Interrupted, match="told to stop"):
        output.seal()


def _swallow(output: TaskOutput, name: str) -> None:
    try:
        output.write(name, b"")
    except OSError:
        return


def test_writes_under_way_are_waited_for_and_none_begins_after_the_end(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    class Slow(FolderPlace):
        def put(self, name: str, body: bytes, content_type: str) -> None:
            begun.set()
            go.wait(10)
            super().put(name, body, content_type)

    output = TaskOutput(Slow(tmp_path), task_in(tmp_path))
    writer = threading.Thread(target=output.write, args=("a", b"x"))
    sealer = threading.Thread(target=output.seal)
    writer.start()
    assert begun.wait(10)
    sealer.start()
    assert not (tmp_path / "a").exists()
    assert sealer.is_alive()
    go.set()
    sealer.join(10)
    assert (tmp_path / "a").exists()
    with pytest.raises(MisconfiguredError, match="the task has ended"):
        output.write("late", b"")
    writer.join()


def test_what_is_given_up_ends_and_nothing_else_begins(tmp_path: Path) -> None:
    """Nobody waits for a thread that a handler has left behind, and it writes no more."""
    begun, go = threading.Event(), threading.Event()

    def slowly(moved: int) -> None:
        del moved
        begun.set()
        go.wait(10)

    source = tmp_path / "source"
    source.write_bytes(bytes(3 * 1024 * 1024))
    output = TaskOutput(FolderPlace(tmp_path / "out"), task_in(tmp_path), slowly)
    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(output.upload, "a", source)
        assert begun.wait(10)
        assert output.is_writing
        output.give_up()
        go.set()
        with pytest.raises(RetryableError, match="its attempt has ended"):
            left.result(10)
    assert not output.is_writing
    assert not (tmp_path / "out/a").exists()
    with pytest.raises(MisconfiguredError, match="the task has ended"):
        output.write("late", b"")


def test_only_a_valid_marker_is_one(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    output = TaskOutput(FolderPlace(tmp_path), task)
    assert output.marker() is None
    (tmp_path / "success.json").write_text("{}")
    assert output.marker() is None
    output.put_marker(task.marker(pages=3))
    marker = output.marker()
    assert marker
    assert marker.model_extra == {"pages": 3}


def test_an_outdated_marker_is_none_until_it_is_replaced(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    output = TaskOutput(FolderPlace(tmp_path), task)
    output.put_marker(task.marker())
    later = task.model_copy(update={"redo_at": datetime.now(UTC) + timedelta(hours=1)})
    redone = TaskOutput(FolderPlace(tmp_path), later)
    assert redone.marker() is None
    assert output.marker()
    redone.put_marker(later.marker())
    assert redone.marker()


def expecting(folder: Path, *patterns: str) -> Task:
    return task_in(folder).model_copy(update={"expect": patterns})


def test_what_is_written_counts_once_with_its_last_size(tmp_path: Path) -> None:
    output = TaskOutput(Kinds(tmp_path, refused=("b",)), task_in(tmp_path))
    output.write("a", b"first")
    output.write("a", "ཀ")
    _swallow(output, "b")
    source = tmp_path / "source"
    source.write_bytes(b"12345")
    output.upload("c", source)
    assert output.sizes == {"a": 3, "c": 5}


def test_a_file_that_is_not_there_is_a_write_that_failed(tmp_path: Path) -> None:
    output = TaskOutput(FolderPlace(tmp_path), task_in(tmp_path))
    with pytest.raises(FileNotFoundError):
        output.upload("a", tmp_path / "gone")
    with pytest.raises(RetryableError, match="such as a: "):
        output.seal()


def test_what_is_expected_is_written_or_there(tmp_path: Path) -> None:
    task = expecting(tmp_path, "*.txt", "volume.json")
    output = TaskOutput(FolderPlace(tmp_path), task)
    output.write("pages/1.txt", "")
    with pytest.raises(MissingArtefactsError, match=r"matches 'volume.json', .*'pages/1.txt'"):
        output.check_expected()
    (tmp_path / "volume.json").touch()  # by an earlier attempt, or by other means
    output.check_expected()


def test_what_was_there_before_redo_at_is_not(tmp_path: Path) -> None:
    (tmp_path / "volume.json").touch()
    os.utime(tmp_path / "volume.json", (1e9, 1e9))
    redone = expecting(tmp_path, "*.json").model_copy(update={"redo_at": datetime.now(UTC)})
    with pytest.raises(MissingArtefactsError, match="from before redoAt"):
        TaskOutput(FolderPlace(tmp_path), redone).check_expected()


def test_a_marker_counts_if_what_is_expected_was_found_or_is_there(tmp_path: Path) -> None:
    task = expecting(tmp_path, "*.txt")
    output = TaskOutput(FolderPlace(tmp_path), task)
    output.put_marker(task.marker())
    assert output.marker() is None
    output.put_marker(task.marker(expect_met=["*.txt"]))
    assert output.marker()
    output.put_marker(task.marker(expect_met=["*.png"]))
    assert output.marker() is None
    (tmp_path / "1.txt").touch()
    assert output.marker()
