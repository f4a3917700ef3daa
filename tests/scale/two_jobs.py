"""Two jobs at once, one gated on the other, with failures, and an operator that is killed.

`python -m tests.scale.two_jobs --full` runs it at the size of the real lists; by default it is as
large as in the integration tests.
"""

import json
import logging
import os
import random
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bec_operator.api.names import task_name
from bec_operator.decide.sight.failures import FailureClass
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster, Parts
from tests.scale.faults import Fault, lasting_faults
from tests.scale.fleet import fleet
from tests.scale.lists import gated_lists
from tests.scale.sides import POD
from tests.scale.witness import Witness
from tests.support.jobs import LiveJob, condition, counts, is_true, job, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import Space, s3_client
from tests.support.waiting import until

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
BUCKET = "bec"
KILLS = 10


@dataclass(frozen=True)
class Size:
    """How large a run is; `patience` is the seconds that it may take at most."""

    volumes: int
    gated: int
    parallelism: tuple[int, int]
    patience: float


SMALL = Size(2000, 1500, (120, 80), 600)
FULL = Size(38_836, 27_789, (300, 200), 7200)


@dataclass(frozen=True)
class Side:
    """One of the two jobs: its volumes, and those that are made to fail."""

    name: str
    volumes: list[Volume]
    faults: dict[Volume, Fault]
    parallelism: int

    @classmethod
    def of(cls, name: str, lines: bytes, parallelism: int) -> "Side":
        """Return the job over a csv list."""
        volumes = [Volume(*line.split(",")) for line in lines.decode().splitlines()]
        return cls(name, volumes, lasting_faults(name, volumes), parallelism)

    def spec(self, **more: object) -> Body:
        """Return its Job."""
        return job(
            self.name,
            BUCKET,
            manifest(BUCKET, f"lists/{self.name}.csv"),
            worker={"template": {"spec": POD}},
            parallelism=self.parallelism,
            retry={"limit": 2, "backoff": {"initial": "1s", "max": "2s"}},
            history={"succeeded": 0, "failed": 50},
            **more,
        )


def run(cluster: Cluster, size: Size, logs: Path) -> None:
    """Play it all, and check what came of it."""
    began = time.monotonic()
    kube = Kube(cluster.kubeconfig)
    space = Space(cluster, kube, s3_client(cluster.s3), "default", BUCKET)
    space.s3.create_bucket(Bucket=BUCKET)
    lists = gated_lists(size.volumes, size.gated)
    lines, ocr = (
        Side.of(name, body, parallelism)
        for name, body, parallelism in zip(("lines", "ocr"), lists, size.parallelism, strict=True)
    )
    for side, body in zip((lines, ocr), lists, strict=True):
        space.put(f"lists/{side.name}.csv", body)
    with (
        Witness(kube) as witness,
        fleet(cluster, logs / "fleet.log", faulty=True),
        Operator(cluster.kubeconfig, cluster.s3, logs / "operator.log") as operator,
    ):
        gate = [{"job": lines.name, "onFailure": "Wait"}]
        live = [space.submit(ocr.spec(dependsOn=gate)), space.submit(lines.spec())]
        _kill(operator, witness, len(lines.volumes) + len(ocr.volumes), size.patience)
        _wait_lines(live[1], lines, size.patience)
        _wait_ocr(live[0], lines, ocr, size.patience)
    _check_reports(space, lines, ocr)
    _check_witness(space, witness, lines, ocr)
    took = time.monotonic() - began
    log.info("%d pods, %d kills, %.0f s", len(witness.pods), KILLS, took)


def _kill(operator: Operator, witness: Witness, total: int, patience: float) -> None:
    """Kill the operator at random moments of the whole, each time as one that has just begun."""
    moments = sorted(random.Random(1).sample(range(total // 50, total * 9 // 10), KILLS))
    for moment in moments:
        until(lambda: witness.count() >= moment, f"{moment} pods were made", patience)  # noqa: B023
        operator.kill()
        operator.start()


def _wait_lines(live: LiveJob, lines: Side, patience: float) -> None:
    found = live.wait_complete(patience)
    failed, total = len(lines.faults), len(lines.volumes)
    assert counts(found) == {"total": total, "succeeded": total - failed, "failed": failed}
    assert condition(found, "Complete")["reason"] == "CompletedWithFailures"


def _wait_ocr(live: LiveJob, lines: Side, ocr: Side, patience: float) -> None:
    """What waits for a failed dependency is said to; and skipped when that is asked for."""
    waiting, failed = _blocked(lines, ocr), _failing(lines, ocr)
    done = len(ocr.volumes) - len(waiting) - len(failed)

    def waits(found: Body) -> bool:
        stalled = condition(found, "Stalled")
        return (stalled["status"], stalled["reason"]) == ("True", "DependencyFailed")

    found = live.wait(waits, "it waits for what has failed", patience)
    ended = {"total": len(ocr.volumes), "succeeded": done, "failed": len(failed)}
    assert counts(found) == {**ended, "waiting": len(waiting)}
    assert str(len(waiting)) in condition(found, "Stalled")["message"]
    assert not is_true(found, "Complete")
    live.patch(dependsOn=[{"job": lines.name, "onFailure": "Skip"}])
    found = live.wait_complete(patience)
    assert counts(found) == {**ended, "skipped": len(waiting)}
    assert condition(found, "Complete")["reason"] == "CompletedWithFailures"


def _blocked(lines: Side, ocr: Side) -> set[Volume]:
    """Return the volumes whose dependency fails for good."""
    return lines.faults.keys() & set(ocr.volumes)


def _failing(lines: Side, ocr: Side) -> set[Volume]:
    """Return the volumes of the second job that fail by themselves."""
    return ocr.faults.keys() - lines.faults.keys()


def _check_reports(space: Space, lines: Side, ocr: Side) -> None:
    """The reports list the injected failures, and no others."""
    own = {volume: ocr.faults[volume].value for volume in _failing(lines, ocr)}
    inherited = dict.fromkeys(_blocked(lines, ocr), FailureClass.DEPENDENCY_FAILED)
    expected = {
        lines.name: {volume: fault.value for volume, fault in lines.faults.items()},
        ocr.name: own | inherited,
    }
    for name, failures in expected.items():
        told = {
            Volume(line["wId"], line["iId"], line["iVersion"]): line["class"]
            for line in space.reported(name)
        }
        assert told == {volume: failure.label for volume, failure in failures.items()}


def _check_witness(space: Space, witness: Witness, lines: Side, ocr: Side) -> None:
    """No window was exceeded, and no volume ran again without a reason on record."""
    for line in space.reported(lines.name) + space.reported(ocr.name):
        witness.note_attempts(line["attempts"])
    pods: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for uid, pod in witness.pods.items():
        pods[pod.job, pod.task].append(uid)
    for side, fails in ((lines, set(lines.faults)), (ocr, _failing(lines, ocr))):
        most = witness.most[side.name]
        assert most <= side.parallelism, f"{most} pods of {side.name} were alive at once"
        gated = _blocked(lines, ocr) if side is ocr else set()
        for volume in side.volumes:
            uids = pods.pop((side.name, task_name(side.name, volume)), [])
            reasons = [witness.attempts.get(uid) for uid in uids]
            succeeded = 0 if volume in fails or volume in gated else 1
            assert reasons.count(None) == succeeded, f"{side.name} {volume}: {reasons}"
            assert not (volume in gated and uids), f"{volume} ran before its gate was open"
            assert succeeded == 0 or reasons[-1] is None, f"{side.name} {volume}: {reasons}"
    assert not pods, f"pods of nobody: {json.dumps(list(map(str, pods)))}"


def main(
    *, full: Annotated[bool, typer.Option(help="at the size of the real lists")] = False
) -> None:
    """Run it on a cluster of its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="two-jobs-") as folder,
        Cluster.start(f"two-jobs-{os.getpid()}", Parts.KWOK) as cluster,
    ):
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        run(cluster, FULL if full else SMALL, Path(folder))


if __name__ == "__main__":
    typer.run(main)
