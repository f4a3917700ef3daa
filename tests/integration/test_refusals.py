"""Bad input that the API server refuses by itself: kubectl says at once what is wrong."""

import copy
import json
from typing import Any

import pytest

from bec_ops.contract.volume import Volume
from tests.cluster import ClusterError
from tests.support.jobs import config_map, items, job, manifest, numbered
from tests.support.kube import Body
from tests.support.space import Space

ONE = numbered(1)
BUCKET = "bucket"
NO_WORKER = {"template": {"spec": {"containers": [{"name": "main", "image": "x"}]}}}


def output(**more: Any) -> Body:
    return {"bucket": BUCKET, **more}


def depending(*needs: Body) -> Body:
    return job("a", BUCKET, ONE, dependsOn=list(needs))


def made_of(**pod: Any) -> Body:
    """Return a Job whose template has more fields, `worker` those of its container."""
    container = {"name": "worker", "image": "x", **pod.pop("worker", {})}
    return job("a", BUCKET, ONE, worker={"template": {"spec": {"containers": [container], **pod}}})


REFUSED: dict[str, tuple[Body, str]] = {
    "env as a map": (
        made_of(worker={"env": {"FOO": "bar"}}),
        'unknown field "spec.worker.template.spec.containers[0].env.FOO"',
    ),
    "volumes as a text": (
        made_of(volumes="x"),
        "spec.worker.template.spec.volumes in body must be of type array",
    ),
    "initContainers as a map": (
        made_of(initContainers={"name": "x"}),
        'unknown field "spec.worker.template.spec.initContainers.name"',
    ),
    "a ConfigMap of another namespace": (
        job("a", BUCKET, config_map("../../team-b/configmaps/x", "list.csv")),
        "spec.volumes.configMap.name in body should match",
    ),
    "a Secret by a path": (
        job("a", BUCKET, ONE, output=output(credentialsSecret="../x")),
        "spec.output.credentialsSecret in body should match",
    ),
    "a dependency by a path": (depending({"job": "../x"}), "spec.dependsOn[0].job in body"),
    "no source": (job("a", BUCKET, {}), "give exactly one source of volumes"),
    "two sources": (
        job("a", BUCKET, {**items(ONE), **manifest(BUCKET, "list.csv")}),
        "give exactly one source of volumes: items, manifest, configMap, s3, sql or queue",
    ),
    "empty list": (job("a", BUCKET, []), "spec.volumes.items in body should have at least 1 items"),
    "1,001 volumes": (
        job("a", BUCKET, numbered(1001)),
        "put a longer list into S3 and name it in volumes.manifest.uri",
    ),
    "empty id": (job("a", BUCKET, [Volume("", "I1")]), "items[0].wId"),
    "long id": (job("a", BUCKET, [Volume("W" * 129, "I1")]), "may not be more than 128"),
    "control character in an id": (job("a", BUCKET, [Volume("W1", "I\n1")]), "items[0].iId"),
    "control character in jobId": (job("a", BUCKET, ONE, jobId="bell\x07"), "spec.jobId"),
    "no more memory than nothing": (
        job("a", BUCKET, ONE, retry={"outOfMemory": {"max": "0Gi"}}),
        "give an amount of memory above zero, such as 64Gi",
    ),
    "memory that is no quantity": (
        job("a", BUCKET, ONE, retry={"outOfMemory": {"max": "64 GB"}}),
        "spec.retry.outOfMemory.max",
    ),
    "less memory each time": (
        job("a", BUCKET, ONE, retry={"outOfMemory": {"factor": 0.5}}),
        "spec.retry.outOfMemory.factor",
    ),
    "a pool upside down": (
        job("a", BUCKET, ONE, pool={"minWorkers": 9, "maxWorkers": 3}),
        "minWorkers is more than maxWorkers: lower it",
    ),
    "a pool of nobody": (job("a", BUCKET, ONE, pool={"maxWorkers": 0}), "spec.pool.maxWorkers"),
    "manifest that is no s3 uri": (
        job("a", BUCKET, {"manifest": {"uri": "https://host/list.csv"}}),
        "spec.volumes.manifest.uri",
    ),
    "prefix without ids": (
        job("a", BUCKET, ONE, output=output(prefix="artefacts/{job_id}/")),
        "prefix must hold {job_id}, {w_id} and {i_id}",
    ),
    "prefix without an end": (
        job("a", BUCKET, ONE, output=output(prefix="a/{job_id}/{w_id}-{i_id}")),
        "prefix must end in /",
    ),
    "absolute prefix": (
        job("a", BUCKET, ONE, output=output(prefix="/{job_id}/{w_id}-{i_id}/")),
        "prefix must end in / and not begin with one",
    ),
    "reports without an end": (
        job("a", BUCKET, ONE, output=output(reports="reports/{job_id}")),
        "reports must end in /",
    ),
    "an absolute path that is expected": (
        job("a", BUCKET, ONE, output=output(expect=["*.txt", "/pages/*"])),
        "a pattern is a path under the output: it begins and ends without '/'",
    ),
    "a folder that is expected": (
        job("a", BUCKET, ONE, output=output(expect=["pages/"])),
        "write *.txt, or pages/*.txt",
    ),
    "what lies above the output is expected": (
        job("a", BUCKET, ONE, output=output(expect=["a/../../b"])),
        "a pattern is a path under the output",
    ),
    "the marker is expected": (
        job("a", BUCKET, ONE, output=output(expect=["success.json"])),
        "the marker and logs are no artefacts",
    ),
    "too deep a pattern": (
        job("a", BUCKET, ONE, output=output(expect=["*/" * 8 + "a"])),
        "a pattern has at most 8 parts; ** is any number of folders",
    ),
    "nothing is expected": (
        job("a", BUCKET, ONE, output=output(expect=[""])),
        "spec.output.expect[0]",
    ),
    "17 patterns": (
        job("a", BUCKET, ONE, output=output(expect=[f"{n}.txt" for n in range(17)])),
        "spec.output.expect: Too many: 17: must have at most 16 items",
    ),
    "a pattern twice": (
        job("a", BUCKET, ONE, output=output(expect=["*.txt", "*.txt"])),
        'spec.output.expect[1]: Duplicate value: "*.txt"',
    ),
    "too long a pattern": (
        job("a", BUCKET, ONE, output=output(expect=["x" * 257])),
        "may not be more than 256",
    ),
    "no bucket": (job("a", BUCKET, ONE, output={}), "spec.output.bucket: Required value"),
    "no container worker": (
        job("a", BUCKET, ONE, worker=NO_WORKER),
        "one container must be named worker",
    ),
    "no template": (job("a", BUCKET, ONE, worker={}), "spec.worker.template: Required value"),
    "no parallelism": (job("a", BUCKET, ONE, parallelism=0), "spec.parallelism"),
    "no attempt": (job("a", BUCKET, ONE, retry={"limit": 0}), "spec.retry.limit"),
    "maxFailed above all": (job("a", BUCKET, ONE, maxFailed="101%"), "a percentage such as 10%"),
    "maxFailed below none": (job("a", BUCKET, ONE, maxFailed=-1), "a percentage such as 10%"),
    "maxFailed in words": (job("a", BUCKET, ONE, maxFailed="some"), "a percentage such as 10%"),
    "dependency on itself": (depending({"job": "a"}), "a Job cannot depend on itself"),
    "dependency on its own artefacts": (
        depending({"jobId": "a", "output": output()}),
        "a Job cannot depend on itself",
    ),
    "dependency on nothing": (depending({"onFailure": "Skip"}), "give either job, the name of"),
    "dependency in both forms": (
        depending({"job": "b", "jobId": "c", "output": output()}),
        "give either job, the name of",
    ),
    "dependency without output": (depending({"jobId": "b"}), "give either job, the name of"),
    "failures of artefacts": (
        depending({"jobId": "b", "output": output(), "onFailure": "Skip"}),
        "artefacts alone never tell that a volume has failed",
    ),
    "dependency twice": (
        depending({"job": "b"}, {"job": "b", "onFailure": "Fail"}),
        "name each job once in dependsOn",
    ),
    "17 dependencies": (
        depending(*({"job": f"b{n}"} for n in range(17))),
        "spec.dependsOn: Too many: 17: must have at most 16 items",
    ),
    "long name": (
        job("n" * 64, BUCKET, ONE),
        "a Job's name is used as a label: at most 63 characters",
    ),
    "misspelt field": (job("a", BUCKET, ONE, paralelism=3), 'unknown field "spec.paralelism"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_kubectl_says_what_is_wrong(space: Space, case: str) -> None:
    """kopf#1087, kubectl#712: too long a list, too, with what to do instead."""
    bad, says = REFUSED[case]
    with pytest.raises(ClusterError) as refused:
        space.kubectl("apply", "-f", "-", input=json.dumps(bad))
    assert says in str(refused.value)


SETTLED: dict[str, tuple[dict[str, Any], str]] = {
    "jobId": ({"jobId": "other"}, "jobId cannot be changed: make a new Job instead"),
    "jobId taken away": ({"jobId": None}, "jobId cannot be changed: make a new Job instead"),
    "bucket": ({"output": {"bucket": "other"}}, "output cannot be changed"),
    "prefix": (
        {"output": {"prefix": "b/{job_id}/{w_id}-{i_id}/"}},
        "output cannot be changed: make a new Job instead",
    ),
    "what is expected": (
        {"output": {"expect": ["*.txt"]}},
        "output cannot be changed: make a new Job instead",
    ),
    "kind of source": (
        {"volumes": {"items": None, **config_map("list", "csv")}},
        "the kind of source cannot be changed: make a new Job instead",
    ),
}


@pytest.mark.parametrize("case", SETTLED)
def test_what_never_changes(space: Space, case: str) -> None:
    change, says = SETTLED[case]
    space.submit(job("settled", BUCKET, ONE, jobId="mine"))
    patch = json.dumps({"spec": change})
    with pytest.raises(ClusterError) as refused:
        space.kubectl("patch", "bj", "settled", "--type=merge", "-p", patch)
    assert says in str(refused.value)


def test_a_job_id_does_not_come_later(space: Space) -> None:
    space.submit(job("plain", BUCKET, ONE))
    with pytest.raises(ClusterError, match="jobId cannot be changed"):
        space.kubectl("patch", "bj", "plain", "--type=merge", "-p", '{"spec": {"jobId": "late"}}')


def test_what_may_change(space: Space) -> None:
    live = space.submit(job("open", BUCKET, ONE))
    before = copy.deepcopy(live.read()["spec"])
    live.patch(parallelism=7, maxFailed=2, retry={"limit": 5}, history={"failed": 0})
    after = live.read()["spec"]
    assert (after["parallelism"], after["maxFailed"], after["retry"]["limit"]) == (7, 2, 5)
    assert after["output"] == before["output"]


def test_a_task_is_never_changed(space: Space) -> None:
    volume = {"wId": "W", "iId": "I", "iVersion": ""}
    body = {
        "apiVersion": "bec.bdrc.io/v1alpha1",
        "kind": "VolumeTask",
        "metadata": {"name": "task"},
        "spec": {"job": "none", "index": 0, "volume": volume},
    }
    space.kubectl("apply", "-f", "-", input=json.dumps(body))
    with pytest.raises(ClusterError, match="a VolumeTask is never changed"):
        space.kubectl("patch", "vt", "task", "--type=merge", "-p", '{"spec": {"index": 1}}')
