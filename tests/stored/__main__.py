"""`python -m tests.stored VERSION`: writes what this code stores, for its successors to read.

It is run once, at the release of VERSION, and what it has written is never changed. Read
`expected.yaml` before it is checked in: it must say what the scenes have done.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bec_operator.act.ground.api_server import apps, bec, core
from bec_operator.api.names import JOB_LABEL
from tests.cluster import Cluster, Parts
from tests.stored import EXPECTED, FOLDER
from tests.stored.reading import read_all
from tests.stored.scenes import Scenes
from tests.support.kube import Body, Kube
from tests.support.node import PlayedNode
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import Space, s3_client
from tests.support.waiting import until
from tests.support.workers import Workers

ROOT = Path(__file__).parents[2]
NAMESPACE, BUCKET = "bec", "stored"
URL = "http://bec-operator-workers.bec-system:8081"  # that workers are told: none calls it
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def main(version: Annotated[str, typer.Argument(help="Of the release, such as 0.2.0")]) -> None:
    """Write `tests/fixtures/stored/VERSION`."""
    target = FOLDER / version
    if target.exists():
        raise typer.BadParameter(f"{target} is there: what a release has stored does not change")
    with (
        tempfile.TemporaryDirectory() as temporary,
        Cluster.start(f"stored-{os.getpid()}", Parts.API) as cluster,
    ):
        made = Path(temporary) / version
        _write(cluster, Path(temporary), made)
        (made / EXPECTED).write_text(dumped(read_all(made)), encoding="utf-8")
        shutil.copytree(made, target)


def dumped(read: Body) -> str:
    """Return what is read, as it is kept."""
    return yaml.safe_dump(read, allow_unicode=True, sort_keys=False, width=100)


def _write(cluster: Cluster, temporary: Path, made: Path) -> None:
    cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
    until(lambda: _established(kube), "the CRDs are established", 60)
    cluster.kubectl("create", "namespace", NAMESPACE)
    until(lambda: kube.find(core(NAMESPACE, "serviceaccounts", "default")), "pods are accepted")
    client.create_bucket(Bucket=BUCKET)
    space = Space(cluster, kube, client, NAMESPACE, BUCKET)
    rights = operator_rights(cluster, temporary)
    with (
        PlayedNode(kube, "node-1") as node,
        Workers(kube, client, NAMESPACE, node.name) as workers,
        Operator(rights, cluster.s3, temporary / "operator.log", worker_url=URL) as operator,
    ):
        scenes = Scenes(space, workers, operator, cluster.s3, temporary, {})
        for scene in (
            scenes.every_code, scenes.gated, scenes.again, scenes.refused, scenes.texts,
            scenes.followed, scenes.pool, scenes.stopped,
        ):  # fmt: skip
            typer.echo(scene.__name__)
            scene()
        _keep(space, scenes.seen, made)


def _established(kube: Kube) -> bool:
    told = [crd.get("status", {}).get("conditions") or [] for crd in kube.items(CRDS)]
    return bool(told) and all(
        any((c["type"], c["status"]) == ("Established", "True") for c in conditions)
        for conditions in told
    )


def _is_one_of_many(item: Body) -> bool:
    """Whether it is a pod of the task that no node takes: there are a dozen, all alike."""
    labels, name = item["metadata"].get("labels") or {}, item["metadata"]["name"]
    pod = labels.get(JOB_LABEL) == "refused" and "containers" in (item.get("spec") or {})
    return pod and not name.endswith("-1")


def _keep(space: Space, seen: dict[str, Body], made: Path) -> None:
    """Write down all that is there."""
    collections = {
        "jobs": bec(NAMESPACE, "jobs"),
        "volumetasks": bec(NAMESPACE, "volumetasks"),
        "pods": core(NAMESPACE, "pods"),
        "deployments": apps(NAMESPACE, "deployments"),
        "configmaps": core(NAMESPACE, "configmaps"),
    }
    found = [
        (folder, item["metadata"]["name"], item)
        for folder, path in collections.items()
        for item in space.kube.items(path)
        if item["metadata"]["name"] != "kube-root-ca.crt" and not _is_one_of_many(item)
    ]
    for folder, name, item in [*found, *(("seen", name, item) for name, item in seen.items())]:
        item["metadata"].pop("managedFields", None)  # the API server's, and longer than the rest
        file = made / "cluster" / folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(item, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for key in space.stored():
        file = made / "bucket" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(space.read(key))
    shutil.copy(ROOT / "docs/worker-api.json", made)


if __name__ == "__main__":
    typer.run(main)
