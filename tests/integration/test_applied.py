"""What is applied stays as it was written, so that tools which compare it find no difference."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bec_ops.contract.volume import Volume
from tests.support.jobs import TEMPLATE, LiveJob, counts, job
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.workers import Workers

ITEMS = [{"wId": "W1", "iId": "I1"}, {"wId": "W1", "iId": "I2", "iVersion": "v1"}]
NEEDS = [{"job": "first"}, {"jobId": "older", "output": {"bucket": "lists"}}]
WAYS = {"client": (), "server": ("--server-side",)}


def arrays(value: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield each array of a resource, and where it is."""
    if isinstance(value, list):
        yield path, value
    for name, child in value.items() if isinstance(value, dict) else ():
        yield from arrays(child, f"{path}.{name}")


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_arrays_are_those_of_the_file(space: Space, how: tuple[str, ...]) -> None:
    """`external-secrets/external-secrets#6887`: without defaults of the API server within them.

    Argo CD merges three versions as kubectl does: maps by their keys, and arrays as a whole. With
    `iVersion: ""` and `onFailure: Wait` in the live one it said OutOfSync for ever.
    """
    pod = {"spec": {"containers": [{**TEMPLATE["spec"]["containers"][0], "ports": []}]}}
    spec: Body = {"suspend": True, "dependsOn": NEEDS, "worker": {"template": pod}}
    file = job("applied", space.bucket, {"items": ITEMS}, **spec)
    for said in ("applied", ""):
        space.kubectl("apply", *how, "-f", "-", input=json.dumps(file))
        live = LiveJob(space.kube, space.namespace, "applied").read()
        assert dict(arrays(live["spec"])) == dict(arrays(file["spec"])), said
    assert live["metadata"]["generation"] == 1


@pytest.mark.usefixtures("operator")
def test_a_version_that_is_left_out_is_none(space: Space, workers: Workers) -> None:
    """The defaults that the API server does not write are those of the operator."""
    first = space.submit(job("first", space.bucket, {"items": ITEMS}))
    second = job("second", space.bucket, {"items": ITEMS}, dependsOn=[{"job": "first"}])
    assert counts(space.submit(second).wait_complete()) == {"total": 2, "succeeded": 2}
    assert counts(first.wait_complete()) == {"total": 2, "succeeded": 2}
    assert space.frozen("first") == [Volume("W1", "I1"), Volume("W1", "I2", "v1")]
    workers.runs.check_each_ran_once(4)
