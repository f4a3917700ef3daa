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
from mypy_boto3_s3 import S3Client
from rich.console import Console

from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.begun import make_begun
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


def play(
    name: str, sizes: tuple[int, int], checkout: Path | None = None, begun: float = 0.0
) -> Body:
    """Run both Jobs on a cluster of their own, with the operator of a checkout, by default ours.

    `begun` is the share of the volumes of both of which the ledger says from the start that they
    are done.
    """
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with Cluster.start(name, Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str((checkout or CHECKOUT) / "crds"))
        return _run(cluster, build / name, sizes, checkout, begun)


def _run(
    cluster: Cluster, logs: Path, sizes: tuple[int, int], checkout: Path | None, begun: float
) -> Body:
    """Play it all, and return the figures."""
    kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
    client.create_bucket(Bucket=BUCKET)
    total, done = sum(sizes), sum(int(begun * size) for size in sizes)
    specs = _make_lists(client, sizes)
    for spec, listed in specs if begun else ():
        make_begun(kube, client, spec, listed, begun)
    log = logs.with_name(f"{logs.name}-operator.log")
    with (
        fleet(cluster, logs.with_name(f"{logs.name}-fleet.log"), artefacts=100),
        Operator(cluster.kubeconfig, cluster.s3, log).of_checkout(checkout) as operator,
    ):
        recorder = Recorder(cluster, operator, NAMES)
        recorder.note("ready")
        for spec, _ in specs if not begun else ():
            kube.create(JOBS, spec)
        until(lambda: made_pods(operator), "it makes pods", timeout=120)
        recorder.note("makes pods")
        _until(recorder, (done + total) // 2)
        restart = recorder.restart()
        _until(recorder, total)
        last = LiveJob(kube, NAMESPACE, "ocr").wait_complete(300)
        recorder.sample()
    assert is_true(last, "Complete")
    return {"volumes": list(sizes), **_figures(recorder, total, done), "restart_seconds": restart}


def _make_lists(client: S3Client, sizes: tuple[int, int]) -> list[tuple[Body, bytes]]:
    """Store the lists of both Jobs, and return each Job with its list."""
    found = []
    for name, listed, pods in zip(NAMES, gated_lists(*sizes), AT_ONCE, strict=True):
        client.put_object(Bucket=BUCKET, Key=f"lists/{name}.csv", Body=listed)
        gate = {"dependsOn": [{"job": "lines"}]} if name == "ocr" else {}
        spec = pod_per_task(name, manifest(BUCKET, f"lists/{name}.csv"), pods, **gate)
        found.append((spec, listed))
    return found


def _figures(recorder: Recorder, total: int, done: int) -> Body:
    samples = recorder.samples
    parts = tenths(samples, total)
    first, final = parts[0]["operator_cpu_ms"], parts[-1]["operator_cpu_ms"]
    return {
        "done_before": done,
        "seconds": round(samples[-1].at, 1),
        "tasks_per_second": round((total - done) / samples[-1].at, 1),
        "memory_peak_mb": max(recorder.lives_mb),
        "memory_peaks_of_lives_mb": recorder.lives_mb,
        "memory_moments": recorder.moments,
        "job_bytes": max(sample.job_bytes for sample in samples),
        "etcd_mb": max(sample.etcd_mb for sample in samples),
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
    begun: Annotated[float, typer.Option(help="the share of both that is done already")] = 0.0,
) -> None:
    """Measure, print, write build/bench-full.json, and fail if a bound is broken."""
    figures = play("bench-full", (volumes, gated), operator, begun)
    console.print_json(data={k: v for k, v in figures.items() if k != "samples"})
    (CHECKOUT / "build" / "bench-full.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-full", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
