"""`python -m tests.campaign --seeds 500`: random scripts through `bec-worker exec`, all judged.

Most run as the volumes of a pool's worker, one after the other in one process; each tenth in a pod
of its own, which is told to stop at some moment, or not at all. What fell is printed with its seed:
`--first SEED --seeds 1` runs it again. The figures go to `build/campaign-exec.json`.
"""

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console

from tests.campaign.judge import MARKER, faults, journal, stored
from tests.campaign.scripts import GRACE, Script, script_of
from tests.cluster import S3, Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.support.fake_operator import Answer, Call, FakeOperator, refusal
from tests.support.space import s3_client
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun

BUCKET = "campaign"
_OF_ONE_PROCESS = 9
_MINUTE = 60.0
_BY_MODES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")  # also for root
_TO_A_FILE = ("sh", "-c", 'exec "$@" > "$0" 2>&1')
_COMMAND = ("exec", f"--grace={GRACE:g}", "--", "bash", "-c", 'exec bash "$CAMPAIGN/$BEC_I_ID.sh"')

_WORDS = (
    "left processes behind",
    "cannot be listed",
    "cannot be read",
    "cannot be looked at",
    "leads nowhere",
    "neither a file nor a folder",
    "into its output folder",
    "is not UTF-8",
    "has a backslash",
    "ended with exit code",
    "was ended by",
    "got SIGTERM",
    "changed",
    "StoreError",
)

console = Console(highlight=False)


@dataclass
class Figures:
    """What came of all of them."""

    markers: int = 0
    failed: int = 0
    stopped: int = 0
    files: int = 0
    wrong: dict[int, list[str]] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)


class OwnOperator(FakeOperator):
    """One that answers nobody else: a worker that another run has left may find its port."""

    def __init__(self, token: str) -> None:
        super().__init__(heartbeat_seconds=0.5)
        self._token = token

    def take(self, call: Call) -> Answer:
        if call.token != self._token:
            return refusal(401, "Unauthenticated")
        return super().take(call)


@contextmanager
def killed(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Leave no worker behind, whatever comes."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Campaign:
    """Runs scripts, and judges them."""

    def __init__(self, s3: S3, folder: Path) -> None:
        self._s3, self._folder = s3, folder
        self._client = s3_client(s3)
        self._client.create_bucket(Bucket=BUCKET)
        (folder / "token").write_text(uuid4().hex)
        self.figures = Figures()

    def batch(self, seeds: range) -> None:
        """Run some scripts in one process, and the last in one of its own."""
        *pooled, alone = [script_of(seed) for seed in seeds]
        for script in (*pooled, alone):
            text = script.text.encode("utf-8", "surrogateescape")
            (self._folder / f"{script.seed}.sh").write_bytes(text)
        try:
            self._run_pooled(pooled)
            self._run_alone(alone)
        except Exception as error:  # noqa: BLE001 - it is told with its seeds, and the rest go on
            self._tell(seeds[0], [f"the batch of {seeds}: {error!r}"])

    def _run_pooled(self, scripts: list[Script]) -> None:
        if not scripts:
            return
        token = self._folder / "token"
        with OwnOperator(token.read_text()) as operator:
            operator.answers["next"] = [(200, {"task": self._task(script)}) for script in scripts]
            more = {
                "BEC_POOL": "true",
                "BEC_OPERATOR_URL": operator.url,
                "BEC_TOKEN_FILE": str(token),
            }
            with killed(self._worker(scripts[0], more).start_command(*_COMMAND)) as process:

                def ended() -> int:
                    assert process.poll() is None, f"the worker ended with {process.returncode}"
                    return len(operator.bodies("done")) + len(operator.bodies("failed"))

                until(lambda: ended() >= len(scripts), "all have ended", timeout=3 * _MINUTE)
                process.send_signal(signal.SIGTERM)
                process.wait(_MINUTE)
            messages = {body["task_uid"]: body["message"] for body in operator.bodies("failed")}
        for script in scripts:
            self._judge(script, messages.get(f"uid-{script.seed}", ""))

    def _run_alone(self, script: Script) -> None:
        run = self._worker(script, self._environment(script))
        pick = random.Random(-script.seed)
        stop = pick.random() < 0.6
        with killed(run.start_command(*_COMMAND)) as process:
            if stop:
                time.sleep(pick.uniform(0.5, 6))
                process.send_signal(signal.SIGTERM)
            process.wait(3 * _MINUTE)
        file = run.folder / "termination-log"
        self._judge(script, file.read_text() if file.exists() else "", stopped=stop)

    def _worker(self, script: Script, more: dict[str, str]) -> WorkerRun:
        none = dict.fromkeys(("BEC_W_ID", "BEC_I_ID", "BEC_I_VERSION", "BEC_OUTPUT_URI"), "")
        environment = none | self._s3.environment() | more | {"CAMPAIGN": str(self._folder)}
        folder = self._folder / f"worker-{script.seed}"
        # Somebody reads what a pod prints, and it may be no text.
        under = (*_TO_A_FILE, str(self._folder / f"{script.seed}.log"))
        return WorkerRun(folder, environment, under if os.getuid() else (*under, *_BY_MODES))

    def _environment(self, script: Script) -> dict[str, str]:
        task = self._task(script)
        return {"BEC_W_ID": "W", "BEC_I_ID": task["i_id"], "BEC_OUTPUT_URI": task["output_uri"]}

    def _task(self, script: Script) -> dict[str, Any]:
        return {
            "job_id": "ocr",
            "w_id": "W",
            "i_id": str(script.seed),
            "task_uid": f"uid-{script.seed}",
            "output_uri": f"s3://{BUCKET}/{script.seed}/",
            "worker_id": "pod-1/uid-1",
        }

    def _judge(self, script: Script, message: str, *, stopped: bool = False) -> None:
        there = stored(self._client, BUCKET, f"{script.seed}/")
        finished = journal(self._folder / f"{script.seed}.journal")
        must = script.sound and not stopped
        wrong = faults(finished, there, must=must, may=script.sound)
        figures = self.figures
        figures.stopped += stopped
        figures.words[_kind(message)] += 1
        if MARKER in there:
            figures.markers += 1
            figures.files += len(finished)
        else:
            figures.failed += 1
        if wrong:
            self._tell(script.seed, [*wrong, f"parts: {script.parts}", f"said: {message}"])

    def _tell(self, seed: int, wrong: list[str]) -> None:
        self.figures.wrong[seed] = wrong
        console.print(f"[red]seed {seed}[/]: {'; '.join(wrong)}", markup=True)


def _kind(message: str) -> str:
    """Sort a message by the words that are the same for all of its kind."""
    return next((words for words in _WORDS if words in message), message[:60] or "done")


def main(
    seeds: Annotated[int, typer.Option(help="how many scripts")] = 500,
    first: Annotated[int, typer.Option(help="the first seed")] = 1,
    at_once: Annotated[int, typer.Option(help="workers")] = 3,
) -> None:
    """Run them, print what fell and the figures, and fail if anything fell."""
    began = time.monotonic()
    with (
        Cluster.start("campaign", Parts.API) as cluster,
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(at_once) as pool,
    ):
        campaign = Campaign(cluster.s3, Path(folder))
        last, size = first + seeds, _OF_ONE_PROCESS + 1
        batches = [range(n, min(n + size, last)) for n in range(first, last, size)]
        list(pool.map(campaign.batch, batches))
    figures = campaign.figures
    summary = {
        "seeds": f"{first} to {last - 1}",
        "seconds": round(time.monotonic() - began),
        "markers": figures.markers,
        "no_marker": figures.failed,
        "told_to_stop": figures.stopped,
        "files_compared": figures.files,
        "words": dict(figures.words.most_common()),
        "wrong": figures.wrong,
    }
    (CHECKOUT / "build").mkdir(exist_ok=True)
    (CHECKOUT / "build" / "campaign-exec.json").write_text(json.dumps(summary, indent=1))
    console.print_json(data=summary)
    if figures.wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
