"""Many Jobs that are meddled with, and an operator that is killed now and then: `make soak`.

Rounds of equal load: the Jobs are made, grow, are edited, suspended, replaced, and all of them are
deleted at the round's end. What it does is decided by `--seed`. In the first half of the rounds the
operator is killed; in the second it lives on, and its memory after each of these rounds must not
grow. It ends with 1, and a sentence for each fault, if something is wrong at any moment.
"""

import json
import random
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import TASK_LABEL
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale.beats import Beats
from tests.scale.crowd import Crowd
from tests.scale.fleet import fleet
from tests.scale.gauges import Gauges
from tests.scale.jobs_seen import JobsSeen
from tests.scale.sides import BUCKET, NAMESPACE
from tests.scale.witness import Witness
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

ROUND = 120.0  # seconds of meddling
MEDDLE, LOOK, KILL = 1.0, 15.0, 45.0  # seconds between two of each
PATIENCE = 180.0  # seconds until each Job has moved, once it may
GROWTH, SLACK_MB = 1.1, 8  # what the memory may have more at the end of a later round
MAX_PODS = 150
console = Console(highlight=False)


class Soak:
    """One run; `faults` has a sentence for each fault."""

    def __init__(self, crowd: Crowd, gauges: Gauges, seen: JobsSeen, witness: Witness) -> None:
        self.faults: list[str] = []
        self._crowd = crowd
        self._gauges = gauges
        self._seen = seen
        self._witness = witness
        self._looked = 0.0

    @property
    def _operator(self) -> Operator:
        return self._gauges.operator

    def round(self, number: int, *, kill: bool) -> int:
        """Play one round, and return the operator's memory when all is deleted, in MB."""
        console.print(f"round {number}{', the operator is killed now and then' if kill else ''}")
        self._crowd.make(number)
        began = killed = time.monotonic()
        while (now := time.monotonic()) - began < ROUND:
            if kill and now - killed >= KILL:
                self._kill()
                killed = now
            console.print(f"      {self._crowd.meddle()}", style="dim")
            self.look()
            time.sleep(MEDDLE)
        self._crowd.calm()
        self._note(self._seen.stuck(self._crowd.members, PATIENCE))
        self._crowd.clear()
        kube, path = self._crowd.kube, core(NAMESPACE, "pods")
        others = {"labelSelector": f"{TASK_LABEL},bec.bdrc.io/job!=beats"}
        until(lambda: not kube.items(path, limit="1", **others), "all pods are gone", PATIENCE)
        until(lambda: len(self._seen.jobs) == 1, "all Jobs are gone", PATIENCE)
        self.look(now=True)
        return self._gauges.readings[-1].memory_mb

    def look(self, *, now: bool = False) -> None:
        """Print how it stands, if it is time; note what is wrong."""
        if not self._operator.running:
            raise AssertionError(f"the operator ended by itself. {self._operator.tail()}")
        if not now and time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        console.print(str(self._gauges.look(self._seen.phases())), soft_wrap=True)
        self._seen.check()
        self._witness.count()
        self._note(self._seen.troubles)
        self._seen.troubles.clear()
        if self._witness.most_of_all > MAX_PODS:
            most = self._witness.most_of_all
            self._note([f"{most} pods were alive at once, maxPods is {MAX_PODS}"])

    def judge_memory(self, calm: list[int]) -> None:
        """Compare the memory after rounds of equal load in one life."""
        if calm[-1] > calm[0] * GROWTH + SLACK_MB:
            self._note([f"memory grows: after rounds of equal load it was {calm} MB"])

    def _kill(self) -> None:
        console.print("      the operator is killed", style="dim")
        self._operator.kill()
        self._operator.start()

    def _note(self, faults: list[str]) -> None:
        for fault in faults:
            if fault not in self.faults:
                console.print(fault, style="red", soft_wrap=True, markup=False)
                self.faults.append(fault)


def main(
    minutes: Annotated[float, typer.Option(help="of meddling, in rounds of two")] = 10,
    jobs: Annotated[int, typer.Option(help="Jobs at once")] = 50,
    volumes: Annotated[int, typer.Option(help="of most Jobs")] = 2000,
    seed: Annotated[int, typer.Option(help="what happens follows from it")] = 1,
) -> None:
    """Play it, print how it stands, write build/soak.json, and end with 1 if a fault was seen."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    rounds = max(round(60 * minutes / ROUND), 3)
    with Cluster.start("soak", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        s3, kube = s3_client(cluster.s3), Kube(cluster.kubeconfig)
        s3.create_bucket(Bucket=BUCKET)
        log = build / "soak-operator.log"
        log.unlink(missing_ok=True)
        settings = {"max_pods": MAX_PODS, "list_every": 15}
        with (
            JobsSeen(kube) as seen,
            Witness(kube) as witness,
            fleet(cluster, build / "soak-fleet.log", faulty=True, seconds=6),
            Operator(cluster.kubeconfig, cluster.s3, log, **settings) as operator,
            Beats(kube, BUCKET, operator.worker_url) as beats,
        ):
            gauges = Gauges(operator, beats)
            crowd = Crowd(kube, s3, random.Random(seed), jobs, volumes)
            soak = Soak(crowd, gauges, seen, witness)
            calm = [soak.round(number, kill=number < rounds // 2) for number in range(rounds)]
            soak.judge_memory(calm[rounds // 2 :])
    console.print(f"memory after each round: {calm} MB; {len(witness.pods)} pods")
    figures = [asdict(reading) for reading in gauges.readings]
    (build / "soak.json").write_text(json.dumps(figures, indent=1))
    if soak.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
