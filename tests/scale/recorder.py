"""Samples of an operator over a long run, through its restarts, and what its memory is made of."""

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import Cluster
from tests.scale.memory_map import memory_map, threads
from tests.scale.meter import cpu_seconds, memory_now, peak_memory
from tests.scale.sides import JOBS
from tests.support.jobs import counts
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.waiting import until

EVERY = 2.0  # seconds between two samples
TENTHS = 10


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
    """Takes samples of some Jobs; the operator may be restarted between them.

    `moments` has the memory at some moments of each of its lives by name, and what it was made of;
    `lives_mb` is the most that each life had.
    """

    def __init__(self, cluster: Cluster, operator: Operator, jobs: Sequence[str]) -> None:
        self._jobs = jobs
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
        found = [self._kube.get(f"{JOBS}/{name}") for name in self._jobs]
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
        until(lambda: made_pods(self._operator), "it makes pods again", timeout=120)
        seconds = round(time.monotonic() - began, 1)
        self.note("makes pods")
        return seconds

    def _cpu(self) -> float:
        return cpu_seconds(self._operator.pid)


def made_pods(operator: Operator) -> bool:
    """Whether an operator has made a pod since it was started."""
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
