"""Any program as a worker: its folder, its words, its end."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bec_ops.contract.errors import (
    Interrupted,
    MisconfiguredError,
    ProgramError,
    RetryableError,
    TerminalError,
)
from bec_ops.contract.protocol import Progress
from bec_ops.contract.s3.places import FolderPlace
from bec_ops.contract.s3.transfers import Watch
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop
from bec_ops.processes.family import Family
from bec_ops.processes.proc import Process
from bec_ops.program.execute import Program
from bec_ops.runtime.attempt import Attempt
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended

PATIENCE = 10.0


def new_attempt(
    folder: Path,
    on_change: Callable[[Progress], None] | None = None,
    place: FolderPlace | None = None,
) -> Attempt:
    task = Task(
        job_id="ocr",
        w_id="W 1",
        i_id="I1",
        output_uri=f"file://{folder / 'out'}/",
        parameters={"model": "bod"},
        worker_id="w",
    )
    surroundings, meter = Surroundings(work_dir=folder / "work"), Meter(on_change)
    return Attempt(task, surroundings, Stop(), meter=meter, place=place)


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return new_attempt(tmp_path)


def bash(script: str, grace: float = PATIENCE) -> Program:
    return Program(("bash", "-c", script), grace)


def test_what_it_writes_is_uploaded(attempt: Attempt, tmp_path: Path) -> None:
    script = """
        mkdir -p "$BEC_OUTPUT_DIR/text"
        echo "$BEC_W_ID/$BEC_I_ID: $BEC_PARAMETERS" > "$BEC_OUTPUT_DIR/text/1.txt"
        for n in $(seq 50); do echo $n > "$BEC_OUTPUT_DIR/$n"; done
        ln -s text/1.txt "$BEC_OUTPUT_DIR/again.txt"
    """
    bash(script).work(attempt)
    out = tmp_path / "out"
    assert (out / "text/1.txt").read_text() == 'W 1/I1: {"model": "bod"}\n'
    assert (out / "again.txt").read_text() == (out / "text/1.txt").read_text()
    assert {path.name for path in out.iterdir()} >= {str(n) for n in range(1, 51)}
    assert attempt.output.marker() is None  # that is its caller's


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("exit 65", TerminalError, "bash ended with exit code 65"),
        ("exit 75", RetryableError, "bash ended with exit code 75"),
        ("exit 78", ProgramError, "bash ended with exit code 78, which says that it is set up wro"),
        ("exit 64", ProgramError, "bash ended with exit code 64, which says that it is set up wro"),
        ("exit 143", RetryableError, "bash ended with exit code 143"),
        ("exit 130", RetryableError, "bash ended with exit code 130"),
        ("exit 1", RetryableError, "bash ended with exit code 1"),
        ("exit 137", RetryableError, "bash ended with exit code 137"),
        ("kill -SEGV $$", RetryableError, "bash was ended by SIGSEGV"),
        ("kill -KILL $$", RetryableError, "bash was ended by SIGKILL"),
        ("kill -TERM $$", RetryableError, "bash was ended by SIGTERM"),
    ],
)
def test_failures(
    attempt: Attempt, tmp_path: Path, script: str, error: type[BaseException], message: str
) -> None:
    with pytest.raises(error, match=message):
        bash(f"touch $BEC_OUTPUT_DIR/1; {script}").work(attempt)
    assert not (tmp_path / "out").exists()


def test_killed_while_the_kernel_counts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter((3, 4))
    monkeypatch.setattr("bec_ops.runtime.attempt.oom_kills", lambda: next(counts))
    attempt = new_attempt(tmp_path)
    with pytest.raises(RetryableError) as caught:
        bash("kill -KILL $$").work(attempt)
    failure = attempt.fail(caught.value)
    assert failure.failure == "OutOfMemory"
    assert failure.message == "a process was killed for its memory; bash was ended by SIGKILL"


@pytest.mark.parametrize("command", ["/no/such/program", __file__])
def test_what_cannot_be_run(attempt: Attempt, command: str) -> None:
    with pytest.raises(MisconfiguredError, match="cannot be run: "):
        Program((command,)).work(attempt)


def test_an_upload_that_fails_fails_the_volume(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/7").mkdir()  # in the way
    with pytest.raises(OSError, match="7"):
        bash("for n in $(seq 20); do echo > $BEC_OUTPUT_DIR/$n; done").work(attempt)


def test_progress_of_its_lines_and_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bec_ops.program.progress_lines._LOOK_EVERY", 0.02)
    seen: list[str] = []
    attempt = new_attempt(tmp_path, on_change=lambda progress: seen.append(str(progress)))
    script = """
        echo bec-progress 1/3 pages; echo noise
        printf 'bec-progress 2/3 ' >&2; printf 'pages\\n' >&2
        echo bec-progress 9/9 lines > $BEC_PROGRESS_FILE
        until [ -e "$BEC_OUTPUT_DIR/../go" ]; do sleep 0.02; done
    """
    runner = threading.Thread(target=bash(script).work, args=(attempt,))
    runner.start()
    until(lambda: "9/9 lines" in seen, "the file is read")
    (tmp_path / "work/go").touch()
    runner.join(PATIENCE)
    assert sorted(seen) == ["1/3 pages", "2/3 pages", "9/9 lines"]
    assert attempt.meter.activity > len(seen)  # noise is a sign of life as well


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        (r"bec-progress 1/3 pages\rbec-progress 2/3 pages\rbec-progress 3/3 pages", "3/3 pages"),
        (r"noise\r\nbec-progress 2/3 pages\r\n", "2/3 pages"),
        (r"\rbec-progress 7", "7 pages"),
    ],
)
@pytest.mark.parametrize("where", ["/dev/stdout", "/dev/stderr", "$BEC_PROGRESS_FILE"])
def test_lines_end_as_a_bar_at_a_terminal_ends_them(
    attempt: Attempt, where: str, printed: str, seen: str
) -> None:
    """`argo-workflows#7671`, `kubeflow/pipelines#9593`."""
    bash(f"printf '{printed}' > {where}").work(attempt)
    assert str(attempt.meter.progress) == seen


@pytest.mark.parametrize(
    "what", ["mkdir $BEC_PROGRESS_FILE", "mkfifo $BEC_PROGRESS_FILE", "ln -s x $BEC_PROGRESS_FILE"]
)
def test_a_progress_file_that_is_none_does_no_harm(attempt: Attempt, what: str) -> None:
    bash(f"{what}; echo 1 > $BEC_OUTPUT_DIR/1").work(attempt)
    assert attempt.meter.progress is None


def test_of_a_long_progress_file_the_end_is_read(attempt: Attempt) -> None:
    script = "head -c 300M /dev/zero > $BEC_PROGRESS_FILE; "
    bash(script + "printf '\nbec-progress 1/2\n' >> $BEC_PROGRESS_FILE").work(attempt)
    assert str(attempt.meter.progress) == "1/2 pages"


def started(attempt: Attempt, program: Program) -> tuple[threading.Thread, list[BaseException]]:
    """Run a program elsewhere, and return once it says that it runs."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            program.work(attempt)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: attempt.meter.progress, "the program runs")
    return thread, errors


def lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


GROUP = "sleep 1000 & echo $! > pid; cp pid $BEC_PROGRESS_FILE.pid; echo bec-progress 1/2; "


def child_of(attempt: Attempt) -> int:
    (file,) = attempt.surroundings.work_dir.glob("progress-*/progress.pid")  # type: ignore[union-attr]
    return int(file.read_text())


def test_a_stop_ends_its_whole_group(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    thread, errors = started(attempt, bash(GROUP + "wait"))
    attempt.stop.request("aborted")
    thread.join(PATIENCE)
    assert [str(error) for error in errors] == ["aborted"]
    until(lambda: not lives(child_of(attempt)), "the child's child is gone")
    assert not (tmp_path / "out").exists()


def test_who_does_not_listen_is_killed_after_the_grace(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deaf = "trap '' TERM; " + GROUP + "while true; do wait; done"
    thread, errors = started(attempt, bash(deaf, grace=0.2))
    attempt.stop.request("aborted")
    thread.join(PATIENCE)
    assert [str(error) for error in errors] == ["aborted"]
    until(lambda: not lives(child_of(attempt)), "the child's child is gone")


@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
def test_what_it_leaves_behind_is_ended_with_it(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    message = r"left processes behind .* sleep \(\d+\)" if end == "exit 0" else "exit code 1"
    with pytest.raises(RetryableError, match=message):
        bash(GROUP + end, grace=0.2).work(attempt)
    assert not lives(child_of(attempt))
    assert not (tmp_path / "out").exists()


def test_where_no_processes_are_listed_the_group_is_known(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bec_ops.processes.proc._PROC", tmp_path / "none")
    late = "(sleep 0.3; echo x > $BEC_OUTPUT_DIR/late.txt) & exit 0"
    bash(late).work(attempt)
    assert (tmp_path / "out/late.txt").exists()
    with pytest.raises(RetryableError, match=r"left processes behind .*: its process group"):
        bash("sleep 1000 & exit 0", grace=0.2).work(attempt)


def test_a_child_whose_parent_ends_while_they_are_listed_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers begin anew: a child may be listed before its parent."""
    family = Family(lambda: subprocess.Popen(["true"], process_group=0))
    family.wait()
    parent = Process(7777, 1, "parent", os.getpid(), 7777, dead=True)
    child = Process(11, 2, "child", parent.pid, 11, dead=False)
    lists = iter([[child, parent], [replace(child, parent=os.getpid())]])
    monkeypatch.setattr("bec_ops.processes.family.processes", lambda: next(lists))
    monkeypatch.setattr("bec_ops.processes.family.forget", lambda process: process.dead)
    assert [process.pid for process in family.left()] == [child.pid]


class Meddler(FolderPlace):
    """A folder; whoever writes to it has the folder changed from which it comes."""

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        super().upload(name, file, content_type, watch)
        (file.parent / "more").touch()


def test_what_comes_while_files_are_uploaded_is_told(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path, place=Meddler(tmp_path / "out"))
    with pytest.raises(RetryableError, match=r"changed while .* more was not there when the prog"):
        bash("touch $BEC_OUTPUT_DIR/1").work(attempt)


def test_a_stop_is_heeded_while_a_file_is_copied(attempt: Attempt, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(50_000_000)
    attempt.stop.request("aborted")
    with pytest.raises(Interrupted, match="aborted"):
        attempt.output.upload("big", big)
    assert not (tmp_path / "out/big").exists()


def test_each_file_that_moves_is_activity(attempt: Attempt, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(50_000_000)
    attempt.output.upload("big", big)
    assert attempt.meter.activity > 40


def test_as_a_command_in_a_pod(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path)
    script = "echo working; echo bec-progress 7/7 lines; echo text > $BEC_OUTPUT_DIR/1.txt"
    ended = wait_done(run.start_command("exec", "--", "bash", "-c", script))
    assert ended.out == "working\nbec-progress 7/7 lines\n"
    assert run.log == ended.out
    assert (run.output / "1.txt").read_text() == "text\n"
    marker = run.marker
    assert marker
    assert (marker["total_images"], marker["unit"]) == (7, "lines")


def test_sigterm_in_a_pod(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path)
    script = "trap 'echo bye; exit 0' TERM; echo ready; sleep 1000 & wait"
    process = run.start_command("exec", "--", "bash", "-c", script)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)
    ended = wait_ended(process)
    assert (ended.code, ended.out) == (143, "bye\n")
    assert run.told == {"class": "Interrupted", "message": "got SIGTERM"}
    assert run.marker is None
    assert "bye" in run.log


def test_a_wrong_command_line_is_a_misconfiguration(tmp_path: Path) -> None:
    ended = wait_ended(WorkerRun(tmp_path).start_command("exec", "--fast", "--", "true"))
    assert ended.code == 64
    assert "--fast" in ended.err
