"""`make campaign-outside`: 20 workers from elsewhere, on a road where all goes wrong, by seed.

Jobs come in pairs, one whose workers write the markers and one whose operator does; when both are
over, the next two come. Workers vanish, sleep over their leases, come twice, and report what is not
theirs; the operator is killed now and then. In the end each volume has to have succeeded, with its
marker, or to have failed, with a reason on record; whatever was done twice has its reason there,
too, and no stale session has changed anything. The figures go to `build/campaign-outside.json`.
"""

import json
import random
import ssl
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bec_ops.contract.volume import Volume
from tests.campaign.outside_judge import Judge, of_stale_sessions
from tests.campaign.outside_road import Road
from tests.campaign.outside_worker import WRITES, Notes, Worker
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.support.jobs import LiveJob, is_true, job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import certificate, enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.space import Space, new_space, s3_client
from tests.support.waiting import until

VOLUMES = 60  # of each Job
LEASE = 5  # seconds
KILL = (30.0, 90.0)  # seconds between two kills of the operator, at least and at most
PATIENCE = 180.0  # seconds in which all that is begun has to end, once nothing goes wrong any more
MARKERS = ("Worker", "OnDone")
console = Console(highlight=False)


@dataclass
class Play:
    """What is played, and what came of it."""

    space: Space
    operator: Operator
    road: Road
    workers: list[Worker]
    chance: random.Random
    jobs: list[tuple[LiveJob, list[Volume]]] = field(default_factory=list)
    kills: int = 0

    def run(self, minutes: float) -> None:
        """Make Jobs and kill the operator until the time is over; then let all come to its end."""
        end = time.monotonic() + 60 * minutes
        kill = time.monotonic() + self.chance.uniform(*KILL)
        while (now := time.monotonic()) < end:
            if all(map(_is_over, self.jobs[-len(MARKERS) :])):
                self._make()
            if now > kill:
                self._kill()
                kill = time.monotonic() + self.chance.uniform(*KILL)
            self._see_all_alive()
            time.sleep(1)
        self.road.calm = True
        until(self._are_over, "all Jobs are over, in a world that is calm", PATIENCE)
        for worker in self.workers:
            worker.end()
        for worker in self.workers:
            worker.join(PATIENCE)

    def _are_over(self) -> bool:
        self._see_all_alive()
        return all(map(_is_over, self.jobs))

    def _see_all_alive(self) -> None:
        broke = [worker.broke for worker in self.workers if not worker.is_alive()]
        assert not broke, broke
        assert self.operator.running, self.operator.tail()

    def _make(self) -> None:
        number = len(self.jobs) // len(MARKERS)
        for marker in MARKERS:
            name = f"{marker.lower()}-{number}"
            volumes = numbered(VOLUMES, f"W{number}")
            spec = _spec(name, self.space.bucket, volumes, marker)
            self.jobs.append((self.space.submit(spec), volumes))
        console.print(f"{self.jobs[-1][0].name}: {dict(self.road.happened)}", style="dim")

    def _kill(self) -> None:
        self.kills += 1
        self.operator.kill()
        time.sleep(self.chance.choice([0.0, 0.0, LEASE]))
        self.operator.start()


def _spec(name: str, bucket: str, volumes: list[Volume], marker: str) -> Body:
    outside = {
        "allowed": True, "only": True, "marker": marker, "lease": f"{LEASE}s", "longLease": "30s",
    }  # fmt: skip
    template = {"spec": {"containers": [{"name": "worker", "image": "worker:1"}]}}
    worker = {"template": template, "parameters": {WRITES: marker == "Worker"}}
    return job(
        name,
        bucket,
        volumes,
        outside=outside,
        worker=worker,
        maxFailed="100%",
        history={"succeeded": VOLUMES, "failed": VOLUMES},
    )


def _is_over(made: tuple[LiveJob, list[Volume]]) -> bool:
    found = made[0].read()
    return is_true(found, "Complete") or is_true(found, "Failed")


def _judged(play: Play, notes: Notes) -> Body:
    """Judge all that was played; return the figures."""
    judge = Judge(play.space)
    judge.look()
    for live, volumes in play.jobs:
        runs = [run for run in notes.runs if run.task.job_id == live.name]
        judge.judge(live.read(), volumes, runs)
    wrong = [*notes.wrong, *judge.wrong, *of_stale_sessions(play.road.heard)]
    wrong += [worker.broke for worker in play.workers if worker.broke]
    wrong += [f"{worker.name} does not end" for worker in play.workers if worker.is_alive()]
    late = Counter(f"{h.call} {h.status}" for h in play.road.heard)
    return {
        "jobs": len(play.jobs),
        "volumes": len(play.jobs) * VOLUMES,
        "kills": play.kills,
        "attempts of workers": len(notes.runs),
        "outcome": dict(judge.seen.most_common()),
        "acts": dict(notes.acts.most_common()),
        "road": dict(play.road.happened.most_common()),
        "answers to workers": dict(notes.answers.most_common()),
        "answers of the operator": dict(late.most_common()),
        "wrong": wrong,
    }


def main(
    minutes: Annotated[float, typer.Option(envvar="MINUTES")] = 10,
    seed: Annotated[int, typer.Option(envvar="SEED", help="what happens follows from it")] = 1,
    workers: Annotated[int, typer.Option(help="at once")] = 20,
) -> None:
    """Play it, print the figures, and end with 1 if anything is wrong."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "outside"
        folder.mkdir()  # its name is that of the operator's namespace, too
        cluster = stack.enter_context(Cluster.start("campaign-outside", Parts.API))
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        kube, s3 = Kube(cluster.kubeconfig), s3_client(cluster.s3)
        space = stack.enter_context(new_space(cluster, kube, s3))
        operator = stack.enter_context(_operator(cluster, folder, build))
        road = stack.enter_context(_road(operator, folder, seed))
        names = {"namespaces": space.namespace, "uses": str(workers)}
        token = enrolment(kube, home_of(folder), "campaign", **names)
        notes = Notes()
        all_workers = [
            Worker(number, seed, road.url, folder / "ca.crt", s3, notes)
            for number in range(workers)
        ]
        for worker in all_workers:
            worker.enrol(token)
            worker.start()
        play = Play(space, operator, road, all_workers, random.Random(seed))
        play.run(minutes)
        figures: dict[str, Any] = {"seed": seed, "minutes": minutes, **_judged(play, notes)}
    (build / "campaign-outside.json").write_text(json.dumps(figures, indent=1))
    console.print_json(data=figures)
    if figures["wrong"]:
        raise typer.Exit(1)


def _operator(cluster: Cluster, folder: Path, build: Path) -> Operator:
    """Return an operator that workers from elsewhere may come to."""
    rights = operator_rights(cluster, folder, outside=True)
    certificate(folder)
    (port,) = free_ports(1)
    log = build / "campaign-outside-operator.log"
    log.unlink(missing_ok=True)
    settings = {"outside_port": port, "own_namespace": home_of(folder), "outside_tls": folder}
    return Operator(rights, cluster.s3, log, **settings)


def _road(operator: Operator, folder: Path, seed: int) -> Road:
    """Return a road that has the operator's own certificate."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    theirs = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Road(operator.outside_url, theirs, ours, seed)


if __name__ == "__main__":
    typer.run(main)
