"""Many big Jobs at once, and ended ones: `make bench-jobs`.

50 Jobs of 20,000 volumes, with what `history` keeps by default and failures, run for some minutes;
then the operator is killed, and they run on. After that ten Jobs of 200,000 volumes end one after
the other, each with its first failure. The figures go to `build/bench-jobs.json`, and are held to
`bounds.yaml`.
"""

import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from bec_ops.contract.volume import Volume
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.beats import Beats
from tests.scale.ended_jobs import ended
from tests.scale.fleet import fleet
from tests.scale.gauges import Gauges, cuts
from tests.scale.histograms import has_counted, quantiles
from tests.scale.jobs_seen import JobsSeen
from tests.scale.meter import peak_memory
from tests.scale.sides import BUCKET, JOBS, POD
from tests.scale.witness import Witness
from tests.support.jobs import csv, job, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client

LOOK = 15.0  # seconds between two looks
PATIENCE = 900.0  # seconds until all Jobs run
MAX_PODS = 500
console = Console(highlight=False)


def crowd(cluster: Cluster, operator: Operator, jobs: int, volumes: int, minutes: float) -> Body:
    """Let so many Jobs run; return the figures at load, and those around a restart."""
    kube = Kube(cluster.kubeconfig)
    log = CHECKOUT / "build" / "bench-jobs-fleet.log"
    with (
        JobsSeen(kube) as seen,
        Witness(kube) as witness,
        fleet(cluster, log, faulty=True, seconds=20),
        operator,
        Beats(kube, BUCKET, operator.worker_url) as beats,
    ):
        gauges = Gauges(operator, beats)
        began = time.monotonic()
        source = manifest(BUCKET, f"lists/{volumes}.csv")
        for number in range(jobs):
            template = {"template": {"spec": POD}}
            kube.create(JOBS, job(f"many-{number}", BUCKET, source, worker=template))
        _watch(gauges, seen, PATIENCE, jobs + 1)
        figures: Body = {"seconds_until_all_run": round(time.monotonic() - began, 1)}
        gauges.took.clear()
        before = operator.metrics()
        _watch(gauges, seen, 60 * minutes)
        figures |= _at_load(gauges, before)
        console.print("the operator is killed")
        peak = peak_memory(operator.pid)
        operator.kill()
        operator.start()
        _watch(gauges, seen, 60 * minutes / 2)
        return {
            **figures,
            "memory_peak_mb": max(peak, peak_memory(operator.pid)),
            "memory_peaks_of_lives_mb": [peak, peak_memory(operator.pid)],
            "pods_at_once": witness.most_of_all,
            "pods": witness.count(),
            "counts_wrong": seen.troubles,
            "readings": [asdict(reading) for reading in gauges.readings],
        }


def _watch(gauges: Gauges, seen: JobsSeen, seconds: float, until_running: int = 0) -> None:
    """Print how it stands for so long; with `until_running` until so many Jobs run, at most."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LOOK, left))
        reading = gauges.look(seen.phases())
        console.print(str(reading), soft_wrap=True)
        seen.check()
        if until_running and reading.phases.get("Running", 0) >= until_running:
            return
    assert not until_running, f"not within {seconds:.0f} s: {until_running} Jobs run"


def _at_load(gauges: Gauges, before: str) -> Body:
    after, calls = gauges.operator.metrics(), cuts(gauges.took)
    assert calls is not None, "hardly a call of a worker was answered"
    lag = "bec_loop_lag_seconds"
    found: Body = {"calls_ms": {"p50": calls[0], "p99": calls[1]}}
    if has_counted(lag, before, after):
        found["loop_lag"] = quantiles(lag, before, after)
    return found


def main(
    minutes: Annotated[float, typer.Option(help="at load, and half as many after a kill")] = 4,
    jobs: Annotated[int, typer.Option(help="Jobs at once")] = 50,
    volumes: Annotated[int, typer.Option(help="of each of these")] = 20_000,
    big: Annotated[int, typer.Option(help="volumes of each of ten that end")] = 200_000,
    only: Annotated[str, typer.Option(help="one part: crowd, ended")] = "",
) -> None:
    """Measure, print, write build/bench-jobs.json, and fail if a bound is broken."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    figures: Body = {}
    for part in ("crowd", "ended"):
        if only not in {"", part}:
            continue
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster.start("bench-jobs", Parts.KWOK))
            cluster.add_fake_nodes(2)
            cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
            client = s3_client(cluster.s3)
            client.create_bucket(Bucket=BUCKET)
            for count in (1, volumes, big):
                listed = csv([Volume(f"W{n // 5}", f"I{n:06}") for n in range(count)])
                client.put_object(Bucket=BUCKET, Key=f"lists/{count}.csv", Body=listed)
            log = build / f"bench-jobs-{part}-operator.log"
            log.unlink(missing_ok=True)
            operator = Operator(cluster.kubeconfig, cluster.s3, log, max_pods=MAX_PODS)
            if part == "crowd":
                figures[part] = crowd(cluster, operator, jobs, volumes, minutes)
            else:
                figures[part] = ended(cluster, operator, big)
        shown = {k: v for k, v in figures[part].items() if k != "readings"}
        console.print_json(data=shown)
    (build / "bench-jobs.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-jobs", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
