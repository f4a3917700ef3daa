"""What is in an output folder: all of it, or an error that names the place."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bec_ops.contract.errors import RetryableError
from bec_ops.runtime.snapshot import difference, files_in, unchanged


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(path))  # a whole path may be too long for one


def put(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()


def test_files_and_links_to_files_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "out/a/b").mkdir(parents=True)
    (tmp_path / "out/empty").mkdir()
    (tmp_path / "out/a/b/1.txt").write_text("one")
    (tmp_path / "elsewhere").write_text("else")
    (tmp_path / "out/2").symlink_to(tmp_path / "elsewhere")
    found = files_in(tmp_path / "out")
    assert {name: state.size for name, state in found.items()} == {"a/b/1.txt": 3, "2": 4}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to("nowhere"), "x is a link that leads nowhere"),
        (lambda path: path.symlink_to(path.name), "x is a link that leads nowhere"),
        (lambda path: path.symlink_to("."), "x is a link to a folder"),
        (lambda path: path.symlink_to("/dev/null"), "x is a device"),
        (os.mkfifo, "x is a FIFO"),
        (make_socket, "x is a socket"),
    ],
)
def test_what_is_no_file_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    message: str,
) -> None:
    """`gradle/gradle#9708`, `gocd/gocd#1377`."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "in/x")
    with pytest.raises(RetryableError, match="^in/" + message.replace(" is ", " in .*is ")):
        files_in(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("success.json", "has written success.json .* success.json is written for you, last"),
        ("success.json/a", "has written success.json/a .* success.json is written for you"),
        ("_logs", "has written _logs into .* the place of the attempts' logs"),
        ("_logs/my.log", "has written _logs/my.log .* the place of the attempts' logs"),
        ("a\\b", r"the name of a\\b in the output folder has a backslash"),
        (os.fsdecode(b"caf\xe9"), r"the name of 'caf\\udce9' in the output folder is not UTF-8"),
    ],
)
def test_names_that_are_not_for_it(tmp_path: Path, name: str, message: str) -> None:
    put(tmp_path / name)
    with pytest.raises(RetryableError, match=message):
        files_in(tmp_path)


def test_names_that_are_for_it(tmp_path: Path) -> None:
    for name in ("a/success.json", "logs", "_logs2/x", "ཀ", "a b", "-", "a/.hidden"):
        put(tmp_path / name)
    assert len(files_in(tmp_path)) == 7


def write_as_if_not(file: Path) -> None:
    """Write as many bytes, and set the time back, as `cp -p` and `rsync --inplace -t` do."""
    before = file.stat().st_ctime_ns
    while file.stat().st_ctime_ns == before:  # the clock of a file system ticks slowly
        file.write_text("two")
        os.utime(file, (1, 1))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda file: file.write_text("more than before"), "had 3 bytes, and has 16 now"),
        (lambda file: file.write_text("two"), "was written to,"),
        (write_as_if_not, "was written to and its time set back"),
        (lambda file: file.unlink(), "was removed while"),
        (lambda file: file.with_name("b").replace(file), "was replaced by another file"),
    ],
)
def test_a_file_that_changes_is_told(
    tmp_path: Path, act: Callable[[Path], object], message: str
) -> None:
    file = tmp_path / "a"
    for path in (file, tmp_path / "b"):
        path.write_text("one")
        os.utime(path, (1, 1))
    with pytest.raises(RetryableError, match=message), unchanged(file):
        act(file)


def test_a_file_that_changes_is_the_cause_of_what_else_fails(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("long")

    def shrink() -> None:
        file.write_text("")
        raise OSError("the end came too early")

    with pytest.raises(RetryableError, match="had 4 bytes, and has 0 now"), unchanged(file):
        shrink()
    with pytest.raises(OSError, match="of its own"), unchanged(file):
        raise OSError("a fault of its own")


def test_only_files_are_uploaded(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="is a folder: only files"), unchanged(tmp_path):
        raise AssertionError


def test_two_looks_at_a_folder(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / name)
    before = files_in(tmp_path)
    assert not difference(before, files_in(tmp_path))
    (tmp_path / "d").touch()
    assert difference(before, files_in(tmp_path)) == "d was not there when the program ended"
    (tmp_path / "d").unlink()
    (tmp_path / "b").write_text("grown")
    assert difference(before, files_in(tmp_path)) == "b had 0 bytes, and has 5 now"
    write_as_if_not(tmp_path / "b")
    before = files_in(tmp_path)
    (tmp_path / "b").read_bytes()
    assert not difference(before, files_in(tmp_path))
    write_as_if_not(tmp_path / "b")
    assert "its time set back" in difference(before, files_in(tmp_path))
    (tmp_path / "b").unlink()
    assert difference(before, files_in(tmp_path)) == "b is gone"
