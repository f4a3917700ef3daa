"""Side by side with a native Indexed Job: `make bench`.

Both run the same number of one-container pods on nodes that are not there, so many at a time, and
the same simulated workers write real markers to the real S3 for both. Which side goes first
alternates. The figures go to `build/bench.json`, too, and are held to `bounds.yaml`.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bec_operator.api.names import TASK_LABEL
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds, pools
from tests.scale.api_metrics import requests
from tests.scale.fleet import fleet
from tests.scale.histograms import quantiles
from tests.scale.lists import made_list
from tests.scale.meter import Meter
from tests.scale.sides import BUCKET, JOBS, native, ours, pod_per_task
from tests.scale.slots import Slots
from tests.support.jobs import LiveJob, manifest, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client

SMALL = 20
WRITING = {"POST", "PUT", "PATCH", "DELETE"}
OURS = {"jobs", "jobs/status", "volumetasks", "volumetasks/status", "configmaps", "pods",
        "pods/status", "events", "deployments"}  # fmt: skip
console = Console(highlight=False)


@dataclass(frozen=True)
class Bench:
    """One cluster with one operator, on which all is measured; `tasks` a run, `at_once` of them."""

    cluster: Cluster
    operator: Operator
    build: Path
    tasks: int
    at_once: int

    def pairs(self, count: int) -> Body:
        """Run both sides one after the other, and compare them pair by pair."""
        found: dict[str, list[Body]] = {"ours": [], "native": []}
        with fleet(self.cluster, self.build / "bench-fleet.log"):
            for number in range(count):
                for side in ("ours", "native") if number % 2 else ("native", "ours"):
                    found[side].append(self._run(side, number))
                    console.print(f"{side} {number}: {json.dumps(found[side][-1])}",
                                  soft_wrap=True)  # fmt: skip
        return {
            "ratio": _spread(_ratios(found, "tasks_per_second")),
            **{
                name: _spread([run[name] for run in found["ours"]])
                for name in ("tasks_per_second", "seconds_until_cleaned_up", "operator_cpu_ms",
                             "memory_peak_mb", "api_requests", "s3_requests")
            },
            "native_tasks_per_second": _spread([r["tasks_per_second"] for r in found["native"]]),
            "native_cpu_ms": _spread([r["controllers_cpu_ms"] for r in found["native"]]),
            "cpu_ratio": _spread(
                [a["operator_cpu_ms"] / b["controllers_cpu_ms"] for a, b in _pairs(found)]
            ),
            "runs": found,
        }  # fmt: skip

    def _run(self, side: str, number: int) -> Body:
        name = f"{side}-{number}"
        if side == "native":
            return native(self.cluster, name, self.tasks, self.at_once)
        source = manifest(BUCKET, f"lists/{self.tasks}.csv")
        return ours(
            self.cluster, self.operator, pod_per_task(name, source, self.at_once), self.tasks
        )

    def small(self, count: int) -> Body:
        """Compare how long a job of a few volumes takes, from its creation to `Complete`."""
        found: dict[str, list[Body]] = {"ours": [], "native": []}
        with fleet(self.cluster, self.build / "bench-fleet.log"):
            for number in range(count):
                name = f"small-{number}"
                spec = pod_per_task(f"ours-{name}", numbered(SMALL), SMALL)
                found["ours"].append(ours(self.cluster, self.operator, spec, SMALL))
                found["native"].append(native(self.cluster, f"native-{name}", SMALL, SMALL))
        return {
            "ratio": _spread([1 / ratio for ratio in _ratios(found, "tasks_per_second")]),
            **{f"{side}_seconds": _spread([r["seconds"] for r in found[side]]) for side in found},
        }

    def delays(self) -> Body:
        """Watch one run of each side: how long slots stay empty, and successes unknown."""
        found: Body = {}
        with fleet(self.cluster, self.build / "bench-fleet.log"):
            for side in ("native", "ours"):
                before = self.operator.metrics()
                with Slots(Kube(self.cluster.kubeconfig), TASK_LABEL, self.at_once) as slots:
                    self._run(side, 99)
                found[side] = {"slot_empty": slots.figures()}
        known = quantiles("bec_marker_known_seconds", before, self.operator.metrics())
        found["ours"]["marker_to_succeeded"] = known
        return found

    def calls(self, tasks: int) -> Body:
        """Run a job whose workers call: register, two heartbeats, done, each with its token."""
        source = numbered(tasks)
        with fleet(self.cluster, self.build / "bench-fleet.log", calls=self.operator.worker_url):
            return ours(
                self.cluster, self.operator, pod_per_task("calls", source, self.at_once), tasks
            )

    def idle(self, seconds: float) -> Body:
        """Do nothing for a while: one job waits for another that is not there, all else ended."""
        kube = Kube(self.cluster.kubeconfig)
        waits = pod_per_task("waits", numbered(3), 3, dependsOn=[{"job": "nowhere"}])
        kube.create(JOBS, waits)
        LiveJob(kube, "default", "waits").wait_stalled("DependencyMissing")
        time.sleep(10)  # what has just ended may still be told
        meter, before = Meter(self.cluster, self.operator), requests(self.cluster)
        time.sleep(seconds)
        writes = {
            f"{verb} {what}": number
            for (verb, what), number in (requests(self.cluster) - before).items()
            if verb in WRITING and what in OURS
        }
        own, s3 = meter.counts()
        return {
            "seconds": seconds,
            "api_writes": sum(writes.values()),
            "writes": writes,
            "operator_cpu_share": round(meter.cpu_seconds() / seconds, 4),
            "api_requests_a_minute": {k: round(60 * n / seconds, 1) for k, n in own.items()},
            "s3_requests_a_minute": {k: round(60 * n / seconds, 1) for k, n in s3.items()},
        }


def _ratios(found: dict[str, list[Body]], what: str) -> list[float]:
    return [a[what] / b[what] for a, b in _pairs(found)]


def _pairs(found: dict[str, list[Body]]) -> Iterable[tuple[Body, Body]]:
    return zip(found["ours"], found["native"], strict=True)


def _spread(values: Sequence[float]) -> Body:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def main(
    tasks: Annotated[int, typer.Option(help="tasks a run")] = 2000,
    at_once: Annotated[int, typer.Option(help="pods at once")] = 500,
    pairs: Annotated[int, typer.Option(help="how often each side runs")] = 5,
    idle: Annotated[float, typer.Option(help="seconds of nothing")] = 300,
    only: Annotated[
        str, typer.Option(help="one part: pods, small, delays, calls, pool, idle")
    ] = "",
) -> None:
    """Measure, print, write build/bench.json, and fail if a bound is broken."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    figures: Body = {}
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.start("bench", Parts.KWOK))
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        client = s3_client(cluster.s3)
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key=f"lists/{tasks}.csv", Body=made_list(tasks))
        log = build / "bench-operator.log"
        operator = stack.enter_context(Operator(cluster.kubeconfig, cluster.s3, log))
        bench = Bench(cluster, operator, build, tasks, at_once)
        parts: dict[str, Callable[[], Body]] = {
            "pods": lambda: bench.pairs(pairs),
            "small": lambda: bench.small(pairs),
            "delays": bench.delays,
            "calls": lambda: bench.calls(tasks // 2),
            "idle": lambda: bench.idle(idle),
        }
        for name, measure in parts.items():
            if only in {"", name}:
                figures[name] = measure()
                _show(name, figures[name])
    if only in {"", "pool"}:
        figures["pool"] = pools.measure(tasks, build, console)
        _show("pool", figures["pool"])
    (build / "bench.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench", figures):
        raise typer.Exit(1)


def _show(name: str, figures: Body) -> None:
    console.print(f"[bold]{name}[/]")
    console.print_json(data={k: v for k, v in figures.items() if k != "runs"})


if __name__ == "__main__":
    typer.run(main)
