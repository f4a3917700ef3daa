"""The memory that `bec-worker exec` of two builds takes to upload big files, in turns.

`python -m tests.scale.uploads --against PATH`: with the library of the checkout at PATH (made with
`git worktree add`), then with ours, as often as is asked for. The figures go to
`build/uploads.json`.
"""

import json
import os
import re
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from tests.cluster import S3, Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.support.kube import Body
from tests.support.space import keys_of, remove_bucket, s3_client
from tests.support.worker_runs import WorkerRun

MB = 1_000_000
BUCKET = "uploads"
PREFIX = "artefacts/ocr/W1-I1-v1/"
_PATIENCE = 5
_LOOK = 0.1  # seconds

console = Console(highlight=False)


def _source(folder: Path, size: int) -> Path:
    """Make a file that nobody can compress."""
    file = folder / "source"
    with file.open("wb") as out:
        for _ in range(size // MB):
            out.write(os.urandom(MB))
    return file


def _upload(checkout: Path, s3: S3, folder: Path, source: Path, files: int) -> Body:
    """Run one worker, and return what it took from the end of its program on.

    An attempt that fails, as where S3 is too busy to answer in time, is made again and counted.
    """
    failed = 0
    while not (found := _attempt(checkout, s3, folder, source, files)):
        failed += 1
        assert failed < _PATIENCE, f"{checkout}: {failed} attempts in a row have failed"
    return {**found, "failed": failed}


def _attempt(checkout: Path, s3: S3, folder: Path, source: Path, files: int) -> Body | None:
    client = s3_client(s3)
    client.create_bucket(Bucket=BUCKET)
    run = WorkerRun(
        folder,
        s3.environment()
        | {
            "BEC_OUTPUT_URI": f"s3://{BUCKET}/{PREFIX}",
            "PYTHONPATH": str(checkout / "worker_image" / "src"),
        },
    )
    links = f'for n in $(seq {files}); do ln {source} "$BEC_OUTPUT_DIR/$n.bin"; done; echo made'
    process = run.start_command("exec", "--", "bash", "-c", links)
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    began = time.monotonic()
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reader.start()
    peaks: dict[int, float] = {}
    while process.poll() is None:
        _note_peaks(process.pid, peaks)
        time.sleep(_LOOK)
    seconds = time.monotonic() - began
    reader.join()
    stored = sum(key.endswith(".bin") for key in keys_of(client, BUCKET))
    remove_bucket(client, BUCKET)
    shutil.rmtree(folder)
    if process.returncode:
        console.print(f"{checkout}: {said[-1] if said else process.returncode}")
        return None
    assert stored == files
    size = files * source.stat().st_size / MB
    return {
        "memory_peak_mb": round(sum(peaks.values()), 1),
        "seconds": round(seconds, 2),
        "mb_per_second": round(size / seconds, 1),
    }


def _note_peaks(pid: int, peaks: dict[int, float]) -> None:
    """Note the most that a worker, and the small process that copies its output, have held.

    The kernel keeps that for a program from its begin; what wait4 tells is no less than what its
    parent held when it started it.
    """
    with suppress(psutil.NoSuchProcess):
        worker = psutil.Process(pid)
        for process in (worker, *worker.children()):
            with suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                if peak := re.search(r"VmHWM:\s*(\d+) kB", status):
                    peaks[process.pid] = int(peak[1]) * 1024 / MB


def _show(builds: dict[str, Body], runs: dict[str, list[Body]]) -> None:
    table = Table("build", "run", *next(iter(runs.values()))[0], title="uploads")
    for name, figures in runs.items():
        for number, each in enumerate(figures, 1):
            table.add_row(name, str(number), *(f"{value:g}" for value in each.values()))
    console.print(table)
    console.print(builds)


def main(
    against: Annotated[Path, typer.Option(help="a checkout, whose worker is the measure")],
    files: Annotated[int, typer.Option(help="how many are uploaded")] = 8,
    size: Annotated[int, typer.Option(help="of each, in MB")] = 300,
    times: Annotated[int, typer.Option(help="runs of each build")] = 3,
) -> None:
    """Measure both in turns, print, write build/uploads.json, and fail if a bound is broken."""
    checkouts = {"then": against.resolve(), "now": CHECKOUT}
    runs: dict[str, list[Body]] = {name: [] for name in checkouts}
    with Cluster.start("uploads", Parts.API) as cluster, tempfile.TemporaryDirectory() as folder:
        source = _source(Path(folder), size * MB)
        for _ in range(times):
            for name, checkout in checkouts.items():
                worker = _upload(checkout, cluster.s3, Path(folder) / "run", source, files)
                runs[name].append(worker)
    builds: dict[str, Body] = {
        name: {
            "memory_peak_mb": max(each["memory_peak_mb"] for each in figures),
            "mb_per_second": median(each["mb_per_second"] for each in figures),
        }
        for name, figures in runs.items()
    }
    _show(builds, runs)
    then, now = builds["then"], builds["now"]
    figures = {
        "memory_ratio": round(now["memory_peak_mb"] / then["memory_peak_mb"], 3),
        "throughput_ratio": round(now["mb_per_second"] / then["mb_per_second"], 3),
        **builds,
        "runs": runs,
    }
    (CHECKOUT / "build").mkdir(exist_ok=True)
    (CHECKOUT / "build" / "uploads.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-uploads", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
