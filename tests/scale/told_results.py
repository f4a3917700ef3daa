"""What results cost, `make bench-results`: the same Job without them, and with a PostgreSQL.

Both run a pod a volume on fake nodes, in pairs, and which goes first alternates. After each Job
with results its rows are counted. Figures go to `build/bench-results.json`, and are held to
`bounds.yaml`.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bec_operator.act.connections.results.own.migrating import migrate
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.fleet import fleet
from tests.scale.lists import made_list
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, ours, pod_per_task
from tests.support.connections import Mounted
from tests.support.databases import secret
from tests.support.jobs import LiveJob, is_true, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.postgres import Postgres, running_postgres
from tests.support.space import s3_client

AT_ONCE = 500
SIDES = ("with", "without")
console = Console(highlight=False)


def _run(
    cluster: Cluster, operator: Operator, postgres: Postgres, side: str, number: int, tasks: int
) -> Body:
    """Run one Job to its end, and with results until they are delivered."""
    name = f"{side}-{number}"
    more = {"results": {"sql": {"connection": "catalogue"}}} if side == "with" else {}
    spec = pod_per_task(name, manifest(BUCKET, "lists/results.csv"), AT_ONCE, **more)
    found = ours(cluster, operator, spec, tasks)
    if side == "with":
        began = time.monotonic()
        live = LiveJob(Kube(cluster.kubeconfig), NAMESPACE, name)
        live.wait(lambda job: is_true(job, "ResultsDelivered"), "all results are delivered", 300)
        found["seconds_until_delivered"] = round(time.monotonic() - began, 2)
        found["rows"] = _rows(postgres, name)
        assert found["rows"] == tasks, f"{name}: {found['rows']} rows of {tasks}"
    Kube(cluster.kubeconfig).delete(f"{JOBS}/{name}")
    return found


def _rows(postgres: Postgres, name: str) -> int:
    """Return how many volumes of a Job stand as done, each with its attempt."""
    with postgres.admin() as admin:
        found = admin.execute(
            "SELECT count(*) FROM bec_operator.attempts "
            "JOIN bec_operator.results r USING (result_id) "
            "JOIN bec_operator.jobs j USING (job_uid) WHERE j.name = %s AND outcome = 'succeeded'",
            (name,),
        ).fetchone()
    assert found is not None
    return int(found[0])


def _compared(found: dict[str, list[Body]]) -> Body:
    """Return the medians of both, and of the pairs."""
    rates = {side: _of(found[side], "tasks_per_second") for side in SIDES}
    cpu = {side: _of(found[side], "operator_cpu_ms") for side in SIDES}
    pairs = list(zip(*(rates[side] for side in SIDES), strict=True))
    more = [a - b for a, b in zip(*(cpu[side] for side in SIDES), strict=True)]
    return {
        **{f"{side}_tasks_per_second": statistics.median(rates[side]) for side in SIDES},
        **{f"{side}_operator_cpu_ms": statistics.median(cpu[side]) for side in SIDES},
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "cpu_more_ms": round(statistics.median(more), 3),
        "runs": found,
    }


def _of(runs: Sequence[Body], what: str) -> list[float]:
    return [float(run[what]) for run in runs]


def main(
    tasks: Annotated[int, typer.Option(help="tasks a run")] = 2000,
    pairs: Annotated[int, typer.Option(help="how often each side runs")] = 5,
) -> None:
    """Measure, print, write build/bench-results.json, and fail if a bound is broken."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    found: dict[str, list[Body]] = {side: [] for side in SIDES}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as postgres,
        Cluster.start("bench-results", Parts.KWOK) as cluster,
    ):
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        client = s3_client(cluster.s3)
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="lists/results.csv", Body=made_list(tasks))
        url = postgres.url(sslmode="disable")
        migrate(secret(Path(folder) / "migrating", url))
        mounted = Mounted(Path(folder), catalogue={"kind": "sql"})
        mounted.put("catalogue", url=url)
        log = build / "bench-results-operator.log"
        with (
            fleet(cluster, build / "bench-results-fleet.log"),
            Operator(cluster.kubeconfig, cluster.s3, log, **mounted.settings) as operator,
        ):
            for number in range(pairs):
                for side in SIDES if number % 2 else reversed(SIDES):
                    run = _run(cluster, operator, postgres, side, number, tasks)
                    found[side].append(run)
                    console.print(f"{side} {number}: {json.dumps(run)}", soft_wrap=True)
    figures = _compared(found)
    console.print_json(data={k: v for k, v in figures.items() if k != "runs"})
    (build / "bench-results.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-results", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
