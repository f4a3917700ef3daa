"""The real size, `make bench-full`: 38,836 volumes, and 27,789 that are gated on them.

Both Jobs are made at once. The operator is killed when half is done. The figures go to
`build/bench-full.json`, and are held to `bounds.yaml`. `--operator` runs the operator of another
checkout instead; `tests.scale.two_builds` compares the memory of two.
"""

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.fleet import fleet
from tests.scale.lists import gated_lists
from tests.scale.memory_map import memory_map, threads
from tests.scale.meter import memory_now, peak_memory
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, pod_per_task
from tests.support.jobs import LiveJob, counts, is_true, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

NAMES = ("lines", "ocr")
AT_ONCE = (300, 200)
FULL = (38_836, 27_789)  # volumes of each
EVERY = 2.0  # seconds between two samples
PATIENCE = 2 * 3600.0
TENTHS = 10
console = Console(highlight=False)


@dataclass(frozen=True)
class Sample:
    """How it stood at one moment; `cpu` is the operator's, over all its lives, in seconds."""

    at: float
    done: int
    cpu: float
    memory_mb: int
    job_bytes: int
    etcd_mb: float


class Recorder:
    """Takes samples; the operator may be restarted between them.

    `moments` has the memory at some moments of each of its lives by name, and what it was made of;
    `lives_mb` is the most that each life had.
    """

    def __init__(self, cluster: Cluster, operator: Operator) -> None:
        self._kube = Kube(cluster.kubeconfig)
        self._etcd = cluster.site.home / "etcd"
        self._operator = operator
        self._began = time.monotonic()
        self._cpu_before = 0.0
        self.lives_mb = [0]
        self.moments: dict[str, Body] = {}
        self.samples: list[Sample] = []

    def sample(self) -> Sample:
        """Look at everything, and wait until the next look is due."""
        found = [self._kube.get(f"{JOBS}/{name}") for name in NAMES]
        self.samples.append(
            Sample(
                at=time.monotonic() - self._began,
                done=sum(counts(job).get("succeeded", 0) for job in found),
                cpu=self._cpu_before + self._cpu(),
                memory_mb=memory_now(self._operator.pid),
                job_bytes=max(len(json.dumps(job)) for job in found),
                etcd_mb=round(_size(self._etcd) / 1e6, 1),
            )
        )
        self._note_peak()
        time.sleep(EVERY)
        return self.samples[-1]

    def note(self, name: str) -> None:
        """Keep what the memory is made of at this moment of this life."""
        pid = self._operator.pid
        found = {"mb": memory_now(pid), **memory_map(pid), "threads": threads(pid)}
        self.moments[f"life {len(self.lives_mb)}, {name}"] = found

    def _note_peak(self) -> None:
        pid = self._operator.pid
        if memory_now(pid) >= self.lives_mb[-1]:
            self.note("peak")
        self.lives_mb[-1] = max(self.lives_mb[-1], peak_memory(pid))

    def restart(self) -> float:
        """Kill the operator, start it, and return the seconds until it makes pods again."""
        self._cpu_before += self._cpu()
        self._note_peak()
        self._operator.kill()
        self.lives_mb.append(0)
        began = time.monotonic()
        self._operator.start()
        self.note("ready")
        until(lambda: _made_pods(self._operator), "it makes pods again", timeout=120)
        seconds = time.monotonic() - began
        self.note("makes pods")
        return seconds

    def _cpu(self) -> float:
        times = psutil.Process(self._operator.pid).cpu_times()
        return float(times.user + times.system)


def _made_pods(operator: Operator) -> bool:
    return any(
        sample.name == "bec_actions_total"
        and (sample.labels["action"], sample.labels["outcome"]) == ("CreatePod", "ok")
        for family in text_string_to_metric_families(operator.metrics())
        for sample in family.samples
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.snap")) + sum(
        path.stat().st_size for path in folder.rglob("db")
    )


def tenths(samples: Sequence[Sample], total: int) -> list[Body]:
    """Return what a task has cost in each tenth of the run.

    One that began and ended between two samples is part of the next.
    """
    edges = [
        next(sample for sample in samples if sample.done >= total * part // TENTHS)
        for part in range(TENTHS + 1)
    ]
    found = []
    for first, last in itertools.pairwise(edges):
        if last is first:
            continue
        tasks = last.done - first.done
        found.append(
            {
                "tasks": tasks,
                "tasks_per_second": round(tasks / (last.at - first.at), 1),
                "operator_cpu_ms": round(1000 * (last.cpu - first.cpu) / tasks, 2),
                "memory_mb": last.memory_mb,
                "etcd_mb": last.etcd_mb,
            }
        )
    return found


def play(name: str, sizes: tuple[int, int], checkout: Path | None = None) -> Body:
    """Run both Jobs on a cluster of their own, with the operator of a checkout, by default ours."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with Cluster.start(name, Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str((checkout or CHECKOUT) / "crds"))
        return _run(cluster, build / name, sizes, checkout)


def _run(cluster: Cluster, logs: Path, sizes: tuple[int, int], checkout: Path | None) -> Body:
    """Play it all, and return the figures."""
    kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
    client.create_bucket(Bucket=BUCKET)
    for name, body in zip(NAMES, gated_lists(*sizes), strict=True):
        client.put_object(Bucket=BUCKET, Key=f"lists/{name}.csv", Body=body)
    total = sum(sizes)
    log = logs.with_name(f"{logs.name}-operator.log")
    with (
        fleet(cluster, logs.with_name(f"{logs.name}-fleet.log"), artefacts=100),
        Operator(cluster.kubeconfig, cluster.s3, log).of_checkout(checkout) as operator,
    ):
        recorder = Recorder(cluster, operator)
        recorder.note("ready")
        for name, parallelism in zip(NAMES, AT_ONCE, strict=True):
            gate = {"dependsOn": [{"job": "lines"}]} if name == "ocr" else {}
            source = manifest(BUCKET, f"lists/{name}.csv")
            kube.create(JOBS, pod_per_task(name, source, parallelism, **gate))
        until(lambda: _made_pods(operator), "it makes pods", timeout=120)
        recorder.note("makes pods")
        _until(recorder, total // 2)
        restart = recorder.restart()
        _until(recorder, total)
        last = LiveJob(kube, NAMESPACE, "ocr").wait_complete(300)
        recorder.sample()
    samples = recorder.samples
    parts = tenths(samples, total)
    first, final = parts[0]["operator_cpu_ms"], parts[-1]["operator_cpu_ms"]
    assert is_true(last, "Complete")
    return {
        "volumes": list(sizes),
        "seconds": round(samples[-1].at, 1),
        "tasks_per_second": round(total / samples[-1].at, 1),
        "memory_peak_mb": max(recorder.lives_mb),
        "memory_peaks_of_lives_mb": recorder.lives_mb,
        "memory_moments": recorder.moments,
        "job_bytes": max(sample.job_bytes for sample in samples),
        "etcd_mb": max(sample.etcd_mb for sample in samples),
        "restart_seconds": round(restart, 1),
        "cost_growth": round(final / first, 3),
        "tenths": parts,
        "samples": [asdict(sample) for sample in samples[:: max(len(samples) // 100, 1)]],
    }


def _until(recorder: Recorder, done: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (sample := recorder.sample()).done < done:
        assert time.monotonic() < deadline, sample
        if len(recorder.samples) % 30 == 0:
            console.print(sample)


def main(
    volumes: Annotated[int, typer.Option(help="of the first job")] = FULL[0],
    gated: Annotated[int, typer.Option(help="of the one that depends on it")] = FULL[1],
    operator: Annotated[
        Path | None, typer.Option(help="a checkout whose operator runs; by default this one's")
    ] = None,
) -> None:
    """Measure, print, write build/bench-full.json, and fail if a bound is broken."""
    figures = play("bench-full", (volumes, gated), operator)
    console.print_json(data={k: v for k, v in figures.items() if k != "samples"})
    (CHECKOUT / "build" / "bench-full.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-full", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
