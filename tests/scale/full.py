"""The real size, `make bench-full`: 38,836 volumes, and 27,789 that are gated on them.

Both Jobs are made at once. The operator is killed when half is done. The figures go to
`build/bench-full.json`, and are held to `bounds.yaml`.
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
from tests.scale.meter import memory_now, peak_memory
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, pod_per_task
from tests.support.jobs import LiveJob, counts, is_true, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

NAMES = ("lines", "ocr")
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
    """Takes samples; the operator may be restarted between them."""

    def __init__(self, cluster: Cluster, operator: Operator) -> None:
        self._kube = Kube(cluster.kubeconfig)
        self._etcd = cluster.site.home / "etcd"
        self._operator = operator
        self._began = time.monotonic()
        self._cpu_before = self.peak_mb = 0.0
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
        self.peak_mb = max(self.peak_mb, peak_memory(self._operator.pid))
        time.sleep(EVERY)
        return self.samples[-1]

    def restart(self) -> float:
        """Kill the operator, start it, and return the seconds until it makes pods again."""
        self._cpu_before += self._cpu()
        self._operator.kill()
        began = time.monotonic()
        self._operator.start()
        until(lambda: _made_pods(self._operator), "it makes pods again", timeout=120)
        return time.monotonic() - began

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


def run(cluster: Cluster, build: Path, sizes: tuple[int, int], at_once: tuple[int, int]) -> Body:
    """Play it all, and return the figures."""
    kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
    client.create_bucket(Bucket=BUCKET)
    for name, body in zip(NAMES, gated_lists(*sizes), strict=True):
        client.put_object(Bucket=BUCKET, Key=f"lists/{name}.csv", Body=body)
    total = sum(sizes)
    with (
        fleet(cluster, build / "full-fleet.log", artefacts=100),
        Operator(cluster.kubeconfig, cluster.s3, build / "full-operator.log") as operator,
    ):
        for name, parallelism in zip(NAMES, at_once, strict=True):
            gate = {"dependsOn": [{"job": "lines"}]} if name == "ocr" else {}
            source = manifest(BUCKET, f"lists/{name}.csv")
            kube.create(JOBS, pod_per_task(name, source, parallelism, **gate))
        recorder = Recorder(cluster, operator)
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
        "memory_peak_mb": recorder.peak_mb,
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
    volumes: Annotated[int, typer.Option(help="of the first job")] = 38_836,
    gated: Annotated[int, typer.Option(help="of the one that depends on it")] = 27_789,
) -> None:
    """Measure, print, write build/bench-full.json, and fail if a bound is broken."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with Cluster.start("bench-full", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        figures = run(cluster, build, (volumes, gated), (300, 200))
    console.print_json(data={k: v for k, v in figures.items() if k != "samples"})
    (build / "bench-full.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-full", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
