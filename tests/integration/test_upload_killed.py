"""A worker killed at every step of its upload: no marker stands over artefacts that are missing."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from mypy_boto3_s3 import S3Client

from bec_ops.contract.location import log_key
from bec_ops.contract.marker import MARKER_NAME
from tests.cluster import S3
from tests.support.proxy import ReverseProxy
from tests.support.worker_runs import WorkerRun, wait_ended

pytestmark = pytest.mark.stores

PREFIX = "artefacts/ocr/W1-I1-v1/"
BIG = 9 * 1024 * 1024  # more than one part
ARTEFACTS = {"0.txt": 1, "1.txt": 1, "big.bin": BIG, log_key("", 1, "task-uid"): 8}
MOST_REQUESTS = 30

HANDLER = f"""
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    print("working")
    big = task.work_dir / "big.bin"
    big.write_bytes(bytes({BIG}))
    task.upload(big)
    for page in task.track(range(2)):
        task.write(f"{{page}}.txt", str(page))

worker.main()
"""
PROGRAM = f"""
echo working
head -c {BIG} /dev/zero > $BEC_OUTPUT_DIR/big.bin
printf 0 > $BEC_OUTPUT_DIR/0.txt
printf 1 > $BEC_OUTPUT_DIR/1.txt
"""
Start = Callable[[WorkerRun], subprocess.Popen[str]]
WORKERS: dict[str, Start] = {
    "handler": lambda run: run.start_script(HANDLER),
    "program": lambda run: run.start_command("exec", "--", "bash", "-c", PROGRAM),
}


class Killer(ReverseProxy):
    """Kills a worker at one of its requests.

    That is before S3 sees the request, or before the worker sees that S3 has done it.
    """

    def __init__(self, s3: S3) -> None:
        super().__init__(s3.endpoint_url)
        self._count = self._fatal = 0
        self._last: web.Request | None = None
        self._before = False
        self._victim = 0
        self._aimed = threading.Event()

    def aim(self, request: int, *, before: bool) -> None:
        self._count, self._fatal, self._before = 0, request, before
        self._last = None
        self._aimed.clear()

    def at(self, process: subprocess.Popen[str]) -> None:
        self._victim = process.pid
        self._aimed.set()

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        self._count += 1
        if self._count == self._fatal:
            self._last = request
            if self._before:
                self._kill()
                await self.hang()
        return None

    async def _pass_back(
        self, request: web.Request, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        if request is self._last:
            self._kill()
        return await super()._pass_back(request, upstream)

    def _kill(self) -> None:
        assert self._aimed.wait(10)
        os.kill(self._victim, signal.SIGKILL)


@pytest.fixture
def killer(s3: S3) -> Iterator[Killer]:
    with Killer(s3) as killer:
        yield killer


def stored(client: S3Client, bucket: str) -> dict[str, int]:
    """Return what stands under the task's prefix, with its size."""
    found = client.list_objects_v2(Bucket=bucket, Prefix=PREFIX).get("Contents", ())
    return {item["Key"].removeprefix(PREFIX): item["Size"] for item in found}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("start", WORKERS.values(), ids=WORKERS)
def test_killed_at_every_request(
    s3: S3,
    client: S3Client,
    bucket: str,
    killer: Killer,
    tmp_path: Path,
    start: Start,
    before: bool,
) -> None:
    seen: list[set[str]] = []
    for request in range(1, MOST_REQUESTS):
        environment = s3.environment() | {
            "AWS_ENDPOINT_URL_S3": killer.url,
            "BEC_OUTPUT_URI": f"s3://{bucket}/{PREFIX}",
        }
        killer.aim(request, before=before)
        process = start(WorkerRun(tmp_path / str(request), environment))
        killer.at(process)
        ended = wait_ended(process)
        found = stored(client, bucket)
        if MARKER_NAME in found:
            assert found.items() >= ARTEFACTS.items(), f"killed at request {request}"
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended
        seen.append(set(found))
        for name in found:
            client.delete_object(Bucket=bucket, Key=PREFIX + name)
    else:
        raise AssertionError(f"more than {MOST_REQUESTS} requests")
    assert MARKER_NAME in found
    # A look at the marker, and at the bucket in which there is none; four for the big file, one for
    # each other object, the marker last.
    assert len(seen) == 2 + 4 + 2 + 1 + 1
    assert [MARKER_NAME in names for names in seen] == [*[False] * 9, not before]
