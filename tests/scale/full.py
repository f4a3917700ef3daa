"""The real size, `make bench-full`: 38,836 volumes, and 27,789 that are gated on them.

Both Jobs are made at once. The operator is killed when half is done. The figures go to
`build/bench-full.json`, and are held to `bounds.yaml`. `--operator` runs the operator of another
checkout instead; `tests.scale.two_builds` compares the memory of two.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.fleet import fleet
from tests.scale.lists import gated_lists
from tests.scale.recorder import Recorder, made_pods, tenths
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, pod_per_task
from tests.support.jobs import LiveJob, is_true, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

NAMES = ("lines", "ocr")
AT_ONCE = (300, 200)
FULL = (38_836, 27_789)  # volumes of each
PATIENCE = 2 * 3600.0
console = Console(highlight=False)


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
        recorder = Recorder(cluster, operator, NAMES)
        recorder.note("ready")
        for name, parallelism in zip(NAMES, AT_ONCE, strict=True):
            gate = {"dependsOn": [{"job": "lines"}]} if name == "ocr" else {}
            source = manifest(BUCKET, f"lists/{name}.csv")
            kube.create(JOBS, pod_per_task(name, source, parallelism, **gate))
        until(lambda: made_pods(operator), "it makes pods", timeout=120)
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
