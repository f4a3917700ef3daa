"""The second act of the demo: volumes from SQL, and results in SQL: `make demo-sql`.

On the demo's cluster, which is started if it is not there: a PostgreSQL with a library's catalogue,
an archive in S3, and the Job over both. Then the database is asked what became of it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import yaml

from bec_operator.api.job import JobPhase, JobSpec
from examples import deploy
from examples.bdrc import catalogue
from examples.bdrc.archive import ARCHIVE, NOT_SCANNED, upload
from examples.demo import CLUSTER, console, find_cluster, follow, step
from tests.cluster import Cluster, ClusterError

MANIFEST = Path(__file__).parent / "bdrc" / "job.yaml"
DELIVERED_WITHIN = 60
"""Seconds from the end of the Job until the database knows of it; few are usual."""


@dataclass(frozen=True)
class Question:
    """Something that people who live in SQL want to know."""

    words: str
    query: LiteralString


QUESTIONS = (
    Question(
        "How do the Jobs stand?",
        "SELECT name, phase, percent, total, succeeded, already_done, failed, rate, started, "
        "completed FROM bec_operator.progress",
    ),
    Question(
        "What failed, and why?",
        "SELECT failure, volumes, example, message FROM bec_operator.failures_by_class "
        "WHERE job_id = 'archive_ocr'",
    ),
    Question(
        "How many pages an hour?",
        "SELECT day, volumes, pages, errors, pages_an_hour, pages_an_hour_of_a_worker "
        "FROM bec_operator.pages_an_hour WHERE job_id = 'archive_ocr'",
    ),
    Question(
        "What became of each image group, and in which version?",
        "SELECT w_id, title, number, i_id, i_version, outcome, items AS pages, "
        "(duration_ms / 1000)::numeric(9, 1) AS seconds "
        "FROM works JOIN image_groups USING (w_id) JOIN bec_operator.results USING (w_id, i_id) "
        "JOIN bec_operator.jobs USING (job_uid) "
        "WHERE job_uid = (SELECT job_uid FROM bec_operator.jobs ORDER BY created DESC LIMIT 1) "
        "ORDER BY w_id, number",
    ),
)


def main() -> int:
    """Run it, and return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("tests.cluster").setLevel(logging.INFO)
    manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    spec = JobSpec.model_validate(manifest["spec"])

    cluster = find_cluster()
    step("Images")
    deploy.load_images(cluster, ("operator", "archive", "postgres"), console.print)
    step("The archive")
    store = deploy.open_store(cluster, ARCHIVE)
    console.print(f"{upload(store, ARCHIVE)} new folders in s3://{ARCHIVE}/Works/")
    deploy.open_store(cluster, spec.output.bucket)
    bring_up(cluster, namespace)
    step(f"Job {namespace}/{name}")
    deploy.apply_anew(cluster, MANIFEST)
    status = follow(cluster, namespace, name)
    # What has not been scanned fails, and nothing else may.
    if status.phase is not JobPhase.COMPLETE or status.counts.failed != 1:
        console.print(cluster.kubectl("-n", namespace, "describe", "bj", name), markup=False)
        console.print(f"The Job did not end as it should: {status.phase}.", style="red")
        return 1
    missing = f"{NOT_SCANNED.w_id}/{NOT_SCANNED.i_id}"
    console.print(f"{missing} is in the catalogue and was not scanned yet: it has failed.")
    wait_delivered(cluster, namespace, name)
    show_answers(cluster)
    show_ways_on(namespace)
    return 0


def bring_up(cluster: Cluster, namespace: str) -> None:
    """Bring up the database, and the operator that knows of it."""
    step("The catalogue")
    deploy.add_namespace(cluster, namespace)
    catalogue.install(cluster)
    console.print(catalogue.ask(cluster, "SELECT * FROM works ORDER BY w_id"), markup=False)
    step("Operator")
    deploy.install_operator(cluster, catalogue.values(namespace))
    console.print(catalogue.migrate(cluster), end="", markup=False)


def wait_delivered(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until the database knows all: as the Job ends, the last results are on their way."""
    delivered = ("--for=condition=ResultsDelivered", f"--timeout={DELIVERED_WITHIN}s")
    cluster.kubectl("-n", namespace, "wait", f"jobs.bec.bdrc.io/{name}", *delivered)


def show_answers(cluster: Cluster) -> None:
    """Ask the database."""
    for question in QUESTIONS:
        step(question.words)
        console.print(f"{question.query};\n", markup=False, soft_wrap=True, style="dim")
        answer = catalogue.ask(cluster, question.query)
        console.print(answer, end="", markup=False, soft_wrap=True)


def show_ways_on(namespace: str) -> None:
    """Say how to ask more, and how to stop it all."""
    step("Look around")
    console.print(
        f"""eval "$(.venv/bin/python -m tests.cluster env --name {CLUSTER})"

kubectl -n {catalogue.NAMESPACE} exec -it deployment/postgres -- psql {catalogue.DATABASE}
kubectl -n {namespace} get bj                # the Job
kubectl -n {namespace} describe bj           # its conditions and Events

The Job is examples/bdrc/job.yaml, and examples/bdrc/README.md tells about it.
`make demo-sql` again applies it again; `make demo-down` stops everything.""",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ClusterError as error:
        console.print(str(error), style="red", markup=False)
        raise SystemExit(1) from None
