"""Trying one volume, with no cluster."""

import io
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bec_ops.contract.errors import TerminalError
from bec_ops.contract.volume import Volume
from bec_ops.program.by_hand import Wish, run_by_hand
from bec_ops.program.execute import Program
from bec_ops.running_task import RunningTask
from bec_ops.worker import Handlers
from tests.support.worker_runs import WorkerRun, wait_ended

VOLUME = Volume("W1", "I1", "v1")


class Author:
    """Someone at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._screen = io.StringIO()

    def tries(self, work: Any, **wishes: Any) -> int:
        handlers = Handlers()
        handlers.job("ocr")(work)
        wish = Wish(**{"volume": VOLUME, "output": str(self.folder), **wishes})
        return run_by_hand(wish, handlers.prepare, self.console)

    @property
    def console(self) -> Console:
        return Console(file=self._screen, force_terminal=True, width=200, color_system=None)

    @property
    def sees(self) -> str:
        return self._screen.getvalue()


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path / "out")


def ocr(task: RunningTask) -> None:
    for page in task.track(range(3)):
        task.write(f"{page}.txt", str(page))


def test_artefacts_progress_and_the_marker_are_shown(author: Author) -> None:
    assert author.tries(ocr) == 0
    assert (author.folder / "2.txt").read_text() == "2"
    assert "3/3 pages" in author.sees
    assert f"wrote file://{author.folder}/0.txt" in author.sees
    assert f"wrote file://{author.folder}/success.json" in author.sees
    assert '"job_id": "by-hand"' in author.sees


def test_it_is_done_again_as_often_as_it_is_asked_for(author: Author) -> None:
    assert author.tries(ocr) == 0
    (author.folder / "2.txt").unlink()
    assert author.tries(ocr) == 0
    assert (author.folder / "2.txt").exists()


def test_the_error_is_shown(author: Author, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(task: RunningTask) -> None:
        raise TerminalError(f"{task.volume} has [no] pages")

    def break_(task: RunningTask) -> None:
        raise KeyError(task.job_id)

    assert author.tries(fail) == 1
    assert "Terminal: W1/I1@v1 has [no] pages" in author.sees
    assert author.tries(break_, job_id="j") == 1
    assert "Retryable: KeyError: 'j'" in author.sees
    assert "Traceback" in capsys.readouterr().err
    assert not author.folder.exists()


def test_what_is_expected_and_missing_is_told(author: Author) -> None:
    assert author.tries(ocr, expect=("*.json",)) == 1
    assert "Retryable: file://" in author.sees
    assert "nothing there matches '*.json'" in author.sees
    assert not (author.folder / "success.json").exists()
    assert author.tries(ocr, expect=("*.txt",)) == 0
    assert '"expect_met"' in author.sees


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"handler": "lines"}, "there is no handler 'lines'"),
        ({"parameters": "{"}, "the parameters are not JSON: "),
        ({"parameters": "[1]"}, 'the parameters are [1]: write {"name": value'),
        ({"expect": ("/a",)}, "the pattern '/a' is no path under the output"),
        ({"output": "s3://bucket"}, "the place 's3://bucket': write s3://bucket/prefix/"),
        ({"volume": Volume("", "I1")}, "w_id: an id must not be empty"),
        ({"dependencies": ("lines",)}, "the dependency 'lines': write job_id=s3://bucket/prefix/"),
        ({"dependencies": ("lines=s3://x",)}, "the place 's3://x': write s3://bucket/prefix/"),
    ],
)
def test_wishes_that_cannot_be_met(author: Author, wishes: dict[str, Any], message: str) -> None:
    assert author.tries(ocr, **wishes) == 1
    assert f"Misconfigured: {message}" in author.sees


def test_ctrl_c(author: Author) -> None:
    def interrupt(task: RunningTask) -> None:
        for _ in task.track(range(3)):
            signal.raise_signal(signal.SIGINT)

    assert author.tries(interrupt) == 130
    assert "1/3 pages" in author.sees
    assert "Interrupted: got SIGINT" in author.sees
    assert not (author.folder / "success.json").exists()


def test_the_bucket_of_a_folder(author: Author) -> None:
    assert author.tries(lambda task: task.write("a", task.bucket)) == 1
    assert "is in no bucket" in author.sees


def test_what_another_job_wrote(author: Author, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "0.json").write_text("[]")

    def read(task: RunningTask) -> None:
        task.write("found", task.dependency("lines").read("0.json"))

    assert author.tries(read, dependencies=(f"lines={lines}",)) == 0
    assert (author.folder / "found").read_text() == "[]"
    assert author.tries(read) == 1
    assert "Misconfigured: where the job 'lines' writes is not known" in author.sees


def test_a_program(author: Author) -> None:
    program = Program(("bash", "-c", "echo hello > $BEC_OUTPUT_DIR/$BEC_W_ID.txt"))
    wish = Wish(VOLUME, str(author.folder))
    assert run_by_hand(wish, lambda _: program.work, author.console) == 0
    assert (author.folder / "W1.txt").read_text() == "hello\n"


def test_the_command(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path)
    run.write(
        "from bec_ops import worker\n"
        "@worker.job('ocr')\n"
        "def ocr(task):\n"
        "    assert task.dependency('lines').read('version.txt') == b'v8'\n"
        "    task.write('version.txt', task.volume.i_version)\n"
    )
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines/version.txt").write_text("v8")
    ended = wait_ended(
        run.start_command(
            *("run-volume", "W1", "I1", "worker.py", "--version", "v9", "--output", "here"),
            *("--dependency", "lines=lines", "--expect", "*.txt", "--expect", "version.*"),
        )
    )
    assert ended.code == 0, ended
    assert (tmp_path / "here/version.txt").read_text() == "v9"
    assert "success.json" in ended.err
