"""One bad Job harms nobody: poisoned ones stand beside a well one, which ends all the same."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import JOB_LABEL, OWNER_LABEL, POOL_LABEL, TASK_LABEL, ledger_name
from tests.cluster import Cluster
from tests.support.jobs import LiveJob, condition, is_true, job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.poison import POISONS, POOL, Poison, container, spec_of
from tests.support.space import Space, new_space
from tests.support.workers import Workers

WITHIN = (
    10.0  # seconds in which a poisoned Job says what is wrong, on a machine with nothing else to do
)
CRD = Path(__file__).parents[2] / "crds" / "jobs.bec.bdrc.io.yaml"
WELL = 20  # volumes

# What the CRD of an earlier version lets through.
SHAPES: dict[str, Poison] = {
    name: Poison(
        "TemplateRejected", (f"spec.worker.template.spec.{path}", "write a"), template=template,
        spec=POOL if pool else {},
    )
    for name, path, template, pool in (
        ("env-map", "containers[0].env", container(env={"FOO": "bar"}), False),
        ("env-map-in-a-pool", "containers[0].env", container(env={"FOO": "bar"}), True),
        ("volumes-text-in-a-pool", "volumes", spec_of(volumes="x"), True),
        ("init-map-in-a-pool", "initContainers", spec_of(initContainers={"name": "x"}), True),
        ("context-text-in-a-pool", "securityContext", spec_of(securityContext="x"), True),
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def place(cluster: Cluster, kube: Kube, client: S3Client) -> Iterator[Space]:
    """The namespace of all of them."""
    with new_space(cluster, kube, client) as place:
        yield place


@pytest.fixture(scope="module")
def crew(kube: Kube, client: S3Client, place: Space, node: str) -> Iterator[Workers]:
    with Workers(kube, client, place.namespace, node) as workers:
        yield workers


@pytest.fixture(scope="module")
def older_crd(cluster: Cluster) -> Iterator[None]:
    """The CRD as it was before templates had a shape."""
    crd = yaml.safe_load(CRD.read_text())
    older = copy.deepcopy(crd)
    spec = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    worker = spec["properties"]["worker"]["properties"]
    worker["template"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    cluster.kubectl("replace", "-f", "-", input=yaml.safe_dump(older))
    yield
    cluster.kubectl("replace", "-f", "-", input=yaml.safe_dump(crd))


@pytest.fixture(scope="module")
def poisoned(
    older_crd: None, operator: Operator, place: Space, crew: Workers
) -> Iterator[dict[str, tuple[LiveJob, float]]]:
    """All poisoned Jobs, and when they were made."""
    del older_crd, crew
    made = {}
    for name, poison in (POISONS | SHAPES).items():
        live = poison.submit(place, name)
        made[name] = (live, time.monotonic())
    yield made
    assert operator.running, "the operator has ended"


def test_the_well_one_ends_beside_all_poisoned_ones(
    poisoned: dict[str, tuple[LiveJob, float]], place: Space
) -> None:
    well = place.submit(job("well", place.bucket, numbered(WELL, "W9")))
    found = well.wait_complete(timeout=60)
    assert found["status"]["counts"]["succeeded"] == WELL
    assert poisoned


@pytest.mark.parametrize("name", POISONS | SHAPES)
def test_a_poisoned_one_says_what_is_wrong(
    poisoned: dict[str, tuple[LiveJob, float]], name: str
) -> None:
    poison, (live, _) = (POISONS | SHAPES)[name], poisoned[name]
    if not poison.reason:
        assert live.wait_complete()["status"]["counts"]["succeeded"] == 2
        return
    message = live.wait_stalled(poison.reason, timeout=WITHIN * 3)
    for words in poison.says:
        assert words in message
    assert len(message) < 2000


def _stranger(name: str, job: str, **annotations: str) -> Body:
    """Return a pod of nobody's that bears our marks."""
    labels = {JOB_LABEL: job, TASK_LABEL: name, OWNER_LABEL: "nobody"}
    metadata: Body = {"name": name, "labels": labels, "annotations": annotations}
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "x",
        "uid": "a),x in (b",
        "controller": True,
    }
    metadata["ownerReferences"] = [{**owner, "controller": True}]
    spec = {"containers": [{"name": "other", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_a_job_that_no_reader_reads(
    poisoned: dict[str, tuple[LiveJob, float]], place: Space, operator: Operator
) -> None:
    """The API server takes 10,000 levels; what comes after it in a list is seen all the same."""
    del poisoned
    deep = job("a-deep-one", place.bucket, numbered(2, "W8"))
    deep["spec"]["worker"]["parameters"] = {"free": "DEEP"}
    text = json.dumps(deep).replace('"DEEP"', '{"a":' * 2000 + "1" + "}" * 2000)
    place.kubectl("create", "--validate=false", "-f", "-", input=text)
    live = LiveJob(place.kube, place.namespace, "a-deep-one")
    watched = place.kubectl("wait", "bj/a-deep-one", "--for=condition=Stalled", "--timeout=30s")
    assert "condition met" in watched
    _restart(operator)
    _submit_and_see(place, "behind-the-deep-one")
    said = place.kubectl("get", "bj/a-deep-one", "-o", "jsonpath={.status.conditions}")
    assert "InvalidSpec" in said
    assert "nested far deeper than 100 levels" in said
    live.delete()


def test_pods_of_strangers_that_bear_our_marks(
    poisoned: dict[str, tuple[LiveJob, float]], place: Space, space: Space, operator: Operator
) -> None:
    """Whoever may make pods may put on them what we do; a restart reads them all again."""
    del poisoned
    path = core(space.namespace, "pods")
    for number, text in enumerate(("soon", "9" * 4000, "-0001-13-45", "")):
        marks = {"bec.bdrc.io/redo-at": text, "bec.bdrc.io/generation": text}
        space.kube.create(path, _stranger(f"stranger-{number}", "stranger", **marks))
    pooled = _stranger("pooled", "stranger", **{"bec.bdrc.io/draining": "soon"})
    del pooled["metadata"]["labels"][TASK_LABEL]
    pooled["metadata"]["labels"][POOL_LABEL] = "nobodys"
    space.kube.create(path, pooled)
    _submit_and_see(place, "beside-strangers")
    _restart(operator)
    _submit_and_see(place, "beside-strangers-again")
    assert operator.running


def test_a_ledger_that_somebody_has_written(
    poisoned: dict[str, tuple[LiveJob, float]], place: Space, crew: Workers, operator: Operator
) -> None:
    """A text that is no base64, a total of 10^30, moments that are none: found at the restart."""
    del poisoned, crew
    changes: dict[str, Body] = {
        "total": {"data": {"total": "1" + "0" * 30}},
        "moment": {"data": {"redoAt": "soon", "redoAt.until": "soon", "redoAt.honoured": "soon"}},
        "bytes": {"binaryData": {"ledger": "eJwDAAAAAAE="}},
    }
    for name, change in changes.items():
        live = place.submit(job(name, place.bucket, numbered(2), suspend=True))
        live.wait(lambda found: place.ledger(found["metadata"]["name"]) is not None, "a ledger")
        place.kube.patch(core(place.namespace, "configmaps", ledger_name(name)), change)
    _restart(operator)
    for name in changes:
        message = LiveJob(place.kube, place.namespace, name).wait_stalled("LedgerUnreadable")
        assert ledger_name(name) in message
    _submit_and_see(place, "beside-ledgers")


def _restart(operator: Operator) -> None:
    operator.kill()
    operator.start()


def _submit_and_see(place: Space, name: str) -> None:
    live = place.submit(job(name, place.bucket, numbered(2, name)))
    found = live.wait_complete()
    assert not is_true(found, "Stalled"), condition(found, "Stalled")
