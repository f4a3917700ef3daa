"""The main job, whole, on this machine: `make demo`.

A one-node Kubernetes and an S3, the operator from its chart, a few volumes of page images, and
the OCR job over them. The cluster stays up, so that a second run only applies the Job again.
"""

import logging
import shlex
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bec_operator.act.ground.api_server import bec
from bec_operator.api.job import JobPhase, JobSpec, JobStatus
from bec_ops.location import OutputTemplate
from bec_ops.store import Store
from examples import deploy
from examples.ocr.accuracy import MAX_ERROR_RATE, read_pages
from examples.ocr.make_pages import BOOKS, upload
from tests.cluster import Cluster, ClusterError, Parts
from tests.cluster.cluster import clusters
from tests.support.kube import Kube

CLUSTER = "demo"
MANIFEST = Path(__file__).parent / "ocr" / "job.yaml"
PATIENCE = 600.0
"""Seconds that the Job may take; it needs about one minute."""

DESCRIPTION = "{task.description}"

console = Console(highlight=False)


def main() -> int:
    """Run the demo, and return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("tests.cluster").setLevel(logging.INFO)
    manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    spec = JobSpec.model_validate(manifest["spec"])

    cluster = find_cluster()
    step("Images")
    deploy.load_images(cluster, ("operator", "worker", "ocr"), console.print)
    step("Operator")
    deploy.install_operator(cluster)
    deploy.add_namespace(cluster, namespace)
    step("Page images")
    store = deploy.open_store(cluster, spec.output.bucket)
    console.print(f"{upload(store, spec.output.bucket)} new in s3://{spec.output.bucket}/images/")
    step(f"Job {namespace}/{name}")
    deploy.apply_anew(cluster, MANIFEST)
    status = follow(cluster, namespace, name)
    if status.phase is not JobPhase.COMPLETE or status.counts.failed:
        console.print(cluster.kubectl("-n", namespace, "describe", "bj", name), markup=False)
        console.print(cluster.kubectl("-n", namespace, "get", "vt", "-o", "wide"), markup=False)
        console.print(f"The Job did not end well: its phase is {status.phase}.", style="red")
        return 1
    good = show_results(store, spec, spec.job_id or name)
    show_counts(status)
    show_ways_on(cluster, namespace, spec.output.bucket)
    return 0 if good else 1


def find_cluster() -> Cluster:
    """Return the demo's cluster, started if it is not there; it outlives this process."""
    step("Cluster")
    for cluster in clusters():
        if cluster.name == CLUSTER and cluster.parts is Parts.NODE and cluster.healthy():
            console.print("is up from before")
            return cluster
    cluster = Cluster.start(CLUSTER, Parts.NODE)
    cluster.detach()
    console.print("started")
    return cluster


def follow(cluster: Cluster, namespace: str, name: str) -> JobStatus:
    """Show how far the Job is until it has ended, and return its last status."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn(DESCRIPTION))
    kube, jobs = Kube(cluster.kubeconfig), bec(namespace, "jobs")
    query = {"fieldSelector": f"metadata.name={name}"}
    deadline = time.monotonic() + PATIENCE
    status = JobStatus()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("")
        while not status.terminal and (left := deadline - time.monotonic()) > 0:
            with kube.watch(jobs, left, query) as events:
                for event in events:
                    status = JobStatus.model_validate(event["object"].get("status") or {})
                    progress.update(
                        bar,
                        description=_describe(status),
                        completed=status.counts.finished,
                        total=status.counts.total or None,
                    )
                    if status.terminal:
                        break
    return status


def show_results(store: Store, spec: JobSpec, job_id: str) -> bool:
    """Show where each volume's artefacts are and how they begin; False if a page was misread."""
    template, bucket = OutputTemplate.parse(spec.output.prefix), spec.output.bucket
    worst = 0.0
    for book in BOOKS:
        prefix = template.prefix(job_id, book.volume)
        pages = read_pages(store, bucket, prefix, book)
        rates = [page.error_rate for page in pages]
        words = " ".join(pages[0].text.split())[:48]
        console.print(f"\n[bold]{book.volume}[/]  s3://{bucket}/{prefix}", soft_wrap=True)
        console.print(f"  {words} …", markup=False)
        console.print(f"  {len(pages)} pages, characters wrong: {sum(rates) / len(rates):.1%}")
        worst = max(worst, *rates)
    if worst > MAX_ERROR_RATE:
        console.print(
            f"A page has {worst:.0%} of its characters wrong: that is no OCR.", style="red"
        )
    return worst <= MAX_ERROR_RATE


def show_counts(status: JobStatus) -> None:
    """Say what the Job did, and what it found done."""
    counts = status.counts
    ran = counts.succeeded - counts.already_done
    console.print(f"\n{counts.succeeded} of {counts.total} volumes succeeded: ", end="")
    if ran:
        console.print(f"{ran} in this run, {counts.already_done} were done before.")
    else:
        console.print("all were done before, so no pod was started.")


def show_ways_on(cluster: Cluster, namespace: str, bucket: str) -> None:
    """Say how to look around, and how to stop it all."""
    step("Look around")
    kubeconfig = shlex.quote(str(cluster.kubeconfig))
    console.print(
        f"""export KUBECONFIG={kubeconfig} PATH="$PWD/.venv/bin:$PATH"

kubectl -n {namespace} get bj                # the Job
kubectl -n {namespace} describe bj           # its conditions and Events
kubectl -n {namespace} get vt -o wide        # its volume tasks
kubectl -n {deploy.OPERATOR_NAMESPACE} logs deployment/bec-operator

Any client of AWS S3 can look into s3://{bucket} at {cluster.s3.endpoint_url}; with
  eval "$(.venv/bin/python -m tests.cluster env --name {CLUSTER})"
it finds the address and the keys.

`make demo-sql` is the second act: volumes from a catalogue in SQL, and results in SQL.
`make demo` again applies the Job again; `make demo-down` stops everything.""",
        markup=False,
        soft_wrap=True,
    )


def step(title: str) -> None:
    """Say what is done next."""
    console.rule(title, align="left", style="dim")


def _describe(status: JobStatus) -> str:
    counts = status.counts
    stalled = next(
        (c for c in status.conditions if c.type == "Stalled" and c.status == "True"), None
    )
    said = f"; {stalled.reason}: {stalled.message}" if stalled else ""
    return escape(f"{status.phase}, {counts.running} running, {counts.retrying} retrying{said}")


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ClusterError as error:
        console.print(str(error), style="red", markup=False)
        raise SystemExit(1) from None
