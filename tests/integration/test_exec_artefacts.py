"""`bec-worker exec` against a real S3: what stands under a marker is whole, or there is none."""

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.location import log_key
from bec_ops.contract.marker import MARKER_NAME
from tests.cluster import S3
from tests.support.fake_operator import FakeOperator
from tests.support.s3_faults import S3Faults
from tests.support.space import keys_of
from tests.support.waiting import until
from tests.support.worker_runs import Ended, WorkerRun, wait_done, wait_ended

PREFIX = "artefacts/ocr/W1-I1-v1/"
OURS = {MARKER_NAME, log_key("", 1, "task-uid")}
_BY_MODES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")

MakeRun = Callable[..., WorkerRun]


@pytest.fixture
def run(s3: S3, bucket: str, tmp_path: Path) -> WorkerRun:
    return WorkerRun(tmp_path, s3.environment() | {"BEC_OUTPUT_URI": f"s3://{bucket}/{PREFIX}"})


def start(run: WorkerRun, script: str, grace: float = 10.0) -> subprocess.Popen[str]:
    return run.start_command("exec", f"--grace={grace}", "--", "bash", "-c", script)


@pytest.fixture
def stored(client: S3Client, bucket: str) -> Callable[[], dict[str, bytes]]:
    """Read what stands under the task's prefix."""

    def read() -> dict[str, bytes]:
        keys = keys_of(client, bucket, PREFIX)
        return {
            key.removeprefix(PREFIX): client.get_object(Bucket=bucket, Key=key)["Body"].read()
            for key in keys
        }

    return read


Stored = Callable[[], dict[str, bytes]]


def failed(run: WorkerRun, stored: Stored, ended: Ended) -> str:
    """Return the message of an attempt that failed for its volume alone, with no marker."""
    assert ended.code == 75, ended
    assert MARKER_NAME not in stored()
    assert run.told["class"] == "Retryable"
    return run.told["message"]


@pytest.mark.parametrize("apart", ["", "setsid "], ids=["in the group", "out of it"])
def test_what_still_compresses_is_waited_for(run: WorkerRun, stored: Stored, apart: str) -> None:
    """`chanzuckerberg/miniwdl#211`: a command ended while its helper still wrote."""
    script = f'seq 3000000 | tee >({apart}gzip -9 > "$BEC_OUTPUT_DIR/all.gz") > /dev/null'
    wait_done(start(run, script))
    lines = gzip.decompress(stored()["all.gz"]).splitlines()
    assert (len(lines), lines[-1]) == (3_000_000, b"3000000")


@pytest.mark.parametrize("apart", ["", "setsid "], ids=["in the group", "out of it"])
def test_what_is_written_late_is_waited_for(run: WorkerRun, stored: Stored, apart: str) -> None:
    """`chanzuckerberg/miniwdl#211`: the same of a job in the background."""
    late = f"{apart}bash -c 'sleep 1; echo late; echo x > \"$BEC_OUTPUT_DIR/late.txt\"'"
    ended = wait_done(start(run, f'echo now > "$BEC_OUTPUT_DIR/now.txt"; ({late}) & exit 0'))
    assert stored().keys() == {"now.txt", "late.txt"} | OURS
    assert ended.out == "late\n"


@pytest.mark.parametrize("apart", ["", "setsid "], ids=["in the group", "out of it"])
def test_a_daemon_is_told_and_ended(run: WorkerRun, stored: Stored, apart: str) -> None:
    """`chanzuckerberg/miniwdl#211`: what never ends may be in the midst of a file."""
    script = f'echo 1 > "$BEC_OUTPUT_DIR/1"; {apart}sleep 1000 & echo $! > pid; exit 0'
    message = failed(run, stored, wait_ended(start(run, script, grace=0.5)))
    pid = (run.folder / "pid").read_text().strip()
    assert message.startswith(
        f"bash has ended and left processes behind that had not ended 0.5 s later: sleep ({pid});"
    )
    assert not Path(f"/proc/{pid}").exists()


def test_a_stop_ends_the_wait_for_what_is_left(run: WorkerRun, stored: Stored) -> None:
    """`chanzuckerberg/miniwdl#211`: and the wait itself is no reason to be deaf."""
    process = start(run, "setsid sleep 1000 & echo $! > pid; echo ready; exit 0", grace=60)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    pid = (run.folder / "pid").read_text().strip()
    process.send_signal(signal.SIGTERM)
    ended = wait_ended(process)
    assert (ended.code, run.told["class"]) == (143, "Interrupted")
    assert MARKER_NAME not in stored()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("mode", "place", "why"),
    [
        ("000", "p/ in the output folder cannot be listed (mode 0000)", "Permission denied"),
        ("0300", "p/ in the output folder cannot be listed (mode 0300)", "Permission denied"),
        ("0100", "p/ in the output folder cannot be listed (mode 0100)", "Permission denied"),
        ("0400", "p/1.txt in the output folder cannot be looked at", "its folder has mode 0400"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named(
    run: WorkerRun, stored: Stored, mode: str, place: str, why: str
) -> None:
    """`ets/tap-spreadsheets-anywhere#48`, `github/gh-aw-mcpg#5711`: left out without a word."""
    script = f"""
        cd "$BEC_OUTPUT_DIR"; mkdir p; echo a > p/1.txt; echo b > 2.txt; chmod {mode} p
    """
    message = failed(run, stored, wait_ended(start(as_anybody(run), script)))
    assert message.startswith(place)
    assert why in message
    assert "chmod -R u+rwX" in message
    assert "2.txt" not in stored()  # it is seen before anything is uploaded


@pytest.mark.parametrize("mode", ["000", "0300"])
def test_an_output_folder_that_cannot_be_read_is_named(
    run: WorkerRun, stored: Stored, mode: str
) -> None:
    """`ets/tap-spreadsheets-anywhere#48`: the same of the folder itself."""
    script = f'echo b > "$BEC_OUTPUT_DIR/2.txt"; chmod {mode} "$BEC_OUTPUT_DIR"'
    message = failed(run, stored, wait_ended(start(as_anybody(run), script)))
    assert message.startswith(f"the output folder cannot be listed (mode 0{mode[-3:]})")


def test_a_file_that_cannot_be_read_is_named(run: WorkerRun, stored: Stored) -> None:
    """`github/gh-aw-mcpg#5711`."""
    script = 'cd "$BEC_OUTPUT_DIR"; echo a > 1.txt; echo b > 2.txt; chmod 000 1.txt'
    message = failed(run, stored, wait_ended(start(as_anybody(run), script)))
    assert message.startswith("1.txt in the output folder cannot be read (mode 0000)")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("ln -s nowhere latest", "latest in the output folder is a link that leads nowhere"),
        ("ln -s / root", "root in the output folder is a link to a folder"),
        ("mkfifo S.gpg-agent", "S.gpg-agent in the output folder is a FIFO"),
        ("echo {} > success.json", "the program has written success.json into its output folder"),
        ("mkdir _logs; echo > _logs/1", "the program has written _logs/1 into its output folder"),
    ],
)
def test_what_is_no_artefact_concerns_its_volume_alone(
    run: WorkerRun, stored: Stored, script: str, told: str
) -> None:
    """`gradle/gradle#9708`, `gocd/gocd#1377`: one dangling link, and nobody went on."""
    ended = wait_ended(start(run, f'cd "$BEC_OUTPUT_DIR"; echo a > 1.txt; {script}'))
    assert failed(run, stored, ended).startswith(told)


@pytest.mark.parametrize("code", [64, 78])
def test_its_own_word_of_a_wrong_set_up_is_passed_on_as_its_own(run: WorkerRun, code: int) -> None:
    ended = wait_ended(start(run, f"exit {code}"))
    assert ended.code == code
    assert (run.folder / "termination-log").read_text() == (
        f"bash ended with exit code {code}, which says that it is set up wrongly"
    )


def test_a_program_that_says_that_it_was_interrupted_was_not(
    run: WorkerRun, stored: Stored
) -> None:
    message = failed(run, stored, wait_ended(start(run, "exit 143")))
    assert message == "bash ended with exit code 143"


def test_a_file_that_somebody_else_still_writes(s3: S3, run: WorkerRun, stored: Stored) -> None:
    """As from another container, over a volume that both mount: no process of the command."""
    with S3Faults(s3) as faults:
        faults.delay(2.0, "PutObject", "big")
        slow = WorkerRun(run.folder, {**run.environment, **faults.s3.environment()})
        process = start(slow, 'echo "$BEC_OUTPUT_DIR" > where; echo 1 > "$BEC_OUTPUT_DIR/big"')
        until(lambda: faults.requests["PutObject"], "it is uploaded")
        folder = Path((run.folder / "where").read_text().strip())
        with (folder / "big").open("a") as file:
            file.write("more")
        message = failed(run, stored, wait_ended(process))
    assert message.endswith(
        "big had 2 bytes, and has 6 now, while it was uploaded; "
        "let whatever writes it end before that"
    ), message


def test_a_stop_is_heeded_while_a_file_is_uploaded(s3: S3, run: WorkerRun, stored: Stored) -> None:
    with S3Faults(s3) as faults:
        faults.swallow("PutObject", "big")
        hung = WorkerRun(run.folder, {**run.environment, **faults.s3.environment()})
        process = start(hung, 'head -c 100M /dev/zero > "$BEC_OUTPUT_DIR/big"')
        until(lambda: faults.requests["PutObject"], "it is uploaded", timeout=20)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: run.told, "it says so")
        assert time.monotonic() - began < 12  # S3 would be waited for for minutes
        ended = wait_ended(process)
        assert time.monotonic() - began < 25  # the log's delivery has its own time
    assert (ended.code, run.told["class"]) == (143, "Interrupted")
    assert MARKER_NAME not in stored()


def test_one_file_that_fails_ends_the_others(s3: S3, run: WorkerRun, stored: Stored) -> None:
    with S3Faults(s3) as faults:
        faults.refuse(403, "PutObject", "small")
        faults.swallow("PutObject", "big")
        broken = WorkerRun(run.folder, {**run.environment, **faults.s3.environment()})
        process = start(broken, 'cd "$BEC_OUTPUT_DIR"; head -c 30M /dev/zero > big; echo > small')
        until(lambda: run.told, "it does not wait for the big one", timeout=20)
        process.kill()
        process.wait()
    assert "small" in run.told["message"]
    assert MARKER_NAME not in stored()


@pytest.mark.alone
def test_parts_of_what_is_given_up_are_forgotten(
    s3: S3, client: S3Client, bucket: str, run: WorkerRun
) -> None:
    """`owncloud/ocis#4968`, `epam/cloud-pipeline#904`: parts stay, and cost."""
    with S3Faults(s3) as faults:
        faults.delay(0.5, "PutObject", "big")
        slow = WorkerRun(run.folder, {**run.environment, **faults.s3.environment()})
        process = start(slow, 'head -c 300M /dev/zero > "$BEC_OUTPUT_DIR/big"')
        until(lambda: faults.requests["PutObject"] > 3, "it is uploaded", timeout=20)
        process.send_signal(signal.SIGTERM)
        assert wait_ended(process).code == 143
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_a_file_that_moves_is_activity(s3: S3, run: WorkerRun) -> None:
    """One of 100 GB, which takes hours, is not stuck."""
    with S3Faults(s3) as faults, FakeOperator() as operator:
        faults.delay(0.3, "PutObject", "big")
        more = {**faults.s3.environment(), "BEC_OPERATOR_URL": operator.url}
        slow = WorkerRun(run.folder, {**run.environment, **more})
        wait_done(start(slow, 'head -c 200M /dev/zero > "$BEC_OUTPUT_DIR/big"'))
    seen = [body["activity"] for body in operator.bodies("heartbeat")]
    assert len(set(seen)) > 2, seen


def as_anybody(run: WorkerRun) -> WorkerRun:
    """Return the same run, as in a pod: by one for whom modes hold, as they do not for root."""
    return WorkerRun(run.folder, run.environment, under=() if os.getuid() else _BY_MODES)
