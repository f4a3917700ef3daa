"""What each release has stored is read by today's code, and means what it meant.

`tests/fixtures/stored/VERSION` is as that release has left it in a real API server and a real S3,
and is never changed. `expected.yaml` there says what it means, in words that are not the code's. At
a release: `python -m tests.stored VERSION`, read `expected.yaml`, and check the folder in; nothing
here has to be written for it. Where a test falls, what is stored in clusters can no longer be read:
mend the code, not the folder. docs/compatibility.md has the rules.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bec_operator.act.kube.records import task_of
from bec_operator.api.names import ledger_name, pod_name, task_name
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_operator.decide.volumes.reasons import label_of
from bec_operator.worker_api.openapi import openapi
from bec_ops.contract.location import log_key
from bec_ops.contract.volume import Volume
from tests.stored import EXPECTED, FOLDER
from tests.stored.reading import bucket_of, objects, read_all

RELEASES = sorted(FOLDER.iterdir())
OUTCOMES = {0: "WAITING", 1: "SUCCEEDED", 2: "FAILED", 3: "SKIPPED"}
CLASSES = {
    1: "Retryable",
    2: "Terminal",
    3: "MarkerMissing",
    4: "OutOfMemory",
    5: "Disrupted",
    6: "Interrupted",
    7: "Silent",
    8: "Stuck",
    9: "TooLong",
    10: "Misconfigured",
    11: "NodeLost",
    12: "ImagePull",
    13: "ContainerConfig",
    14: "Unschedulable",
    15: "StartTimeout",
    16: "Stopped",
    17: "DependencyFailed",
    18: "NodeRefused",
    19: "RuntimeTrouble",
    20: "StorageExceeded",
    24: "BadHost",
    25: "OutputImpossible",
    26: "VersionMissing",
    27: "Double",
}
"""Every class that ever had a code. One that is given up keeps its line: its code is used up."""
CODES = 32  # that fit beside an outcome into a byte

of_each_release = pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)


@of_each_release
@pytest.mark.parametrize("kind", ["jobs", "tasks", "pods", "deployments", "markers"])
def test_it_means_what_it_meant(folder: Path, kind: str) -> None:
    meant = yaml.safe_load((folder / EXPECTED).read_text(encoding="utf-8"))[kind]
    read = read_all(folder)[kind]
    assert read.keys() == meant.keys()
    for name, said in meant.items():
        assert read[name] == said, f"{kind}: {name}"


@of_each_release
def test_there_is_some_of_everything(folder: Path) -> None:
    meant = yaml.safe_load((folder / EXPECTED).read_text(encoding="utf-8"))
    tasks, pods = meant["tasks"].values(), meant["pods"].values()
    attempts = [attempt for task in tasks for attempt in task["attempts"]]
    phases = {task["phase"] for task in tasks}
    assert phases == {"queued", "Running", "Retrying", "Succeeded", "Failed"}
    assert meant["tasks"]["handed"]["attempts"], "of a task that has no status yet"
    assert any(task["progress"] for task in tasks)
    assert {"session", "repeats", "redo at", "exit code"} <= {key for a in attempts for key in a}
    assert any(pod["stopped"] for pod in pods)
    assert any(pod["called since"] for pod in pods)
    assert any(pod.get("draining") for pod in pods)
    assert any(found["avoids"] for found in meant["deployments"].values())
    assert any(job["retried"] and job["redone"] for job in meant["jobs"].values())


@of_each_release
def test_names_are_derived_as_they_were(folder: Path) -> None:
    """They are the lock: with another name a volume that runs would be begun once more."""
    jobs = dict(objects(folder, "jobs"))
    ledgers = {name for name, _ in objects(folder, "configmaps")}
    assert {ledger_name(job) for job in jobs} == ledgers
    names = {}
    for name, task in objects(folder, "volumetasks"):
        job, ids = task["spec"]["job"], task["spec"]["volume"]
        assert task_name(job, Volume(ids["wId"], ids["iId"], ids["iVersion"])) == name
        names[name] = {pod_name(name, number) for number in range(1, 20)}
    for name, pod in objects(folder, "pods"):
        owner = pod["metadata"]["ownerReferences"][0]
        assert owner["kind"] == "ReplicaSet" or name in names[owner["name"]]


@of_each_release
def test_logs_are_where_they_were(folder: Path) -> None:
    keys = bucket_of(folder)
    logs = {key for key in keys if "/_logs/" in key}
    uids = [task["metadata"]["uid"] for _, task in objects(folder, "volumetasks")]
    places = {key.partition("_logs/")[0] for key in logs}
    assert logs
    assert logs <= {log_key(place, 1, uid) for place in places for uid in uids}


@of_each_release
def test_what_its_workers_call_is_still_there(folder: Path) -> None:
    """A worker of that release may call today's operator, and its client be a stranger's."""
    then: Any = json.loads((folder / "worker-api.json").read_text(encoding="utf-8"))
    now: Any = openapi()
    assert then["paths"].keys() <= now["paths"].keys()
    for name, schema in then["components"]["schemas"].items():
        today = now["components"]["schemas"][name]
        assert schema.get("properties", {}).keys() <= today.get("properties", {}).keys(), name
        assert set(today.get("required", [])) <= set(schema.get("required", [])), name


def test_no_code_is_used_again() -> None:
    assert {outcome.value: outcome.name for outcome in Outcome} == OUTCOMES
    assert ALREADY_DONE == 1
    for failure in FailureClass:
        assert CLASSES.get(failure.value) == failure.label, (
            f"{failure.value} is {CLASSES.get(failure.value, 'new')}: a new class gets a code that "
            "none ever had, and a line in CLASSES"
        )
    assert len(set(CLASSES.values())) == len(CLASSES)
    assert max(CLASSES) < CODES


# What a newer operator may have written, and this one reads after a step back.


def test_a_code_that_is_not_known_is_kept_and_counts() -> None:
    ledger = Ledger.fresh("sha", 1)
    ledger.settle(0, Outcome.FAILED, CODES - 1)
    again = Ledger.decode("sha", ledger.encode(), 1)
    assert (again.outcome(0), again.code(0)) == (Outcome.FAILED, CODES - 1)
    assert label_of(again.code(0)) == "Unknown"
    assert again.encode() == ledger.encode()


def test_an_outcome_that_is_not_known_cannot_be_read() -> None:
    """So there can be no fifth one for as long as anybody may step back."""
    ledger = Ledger("sha", bytearray([len(OUTCOMES)]))
    with pytest.raises(IndexError):
        ledger.outcome(0)


def _task(status: dict[str, Any]) -> dict[str, Any]:
    meta = {"namespace": "ns", "name": "t", "uid": "u", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"job": "j", "index": 0}, "status": status}


def test_an_attempt_may_say_more_than_is_known() -> None:
    attempt = {"number": 1, "pod": "t-1", "failure": "OfTomorrow", "moon": "full"}
    task = task_of(_task({"phase": "Retrying", "attempts": [attempt], "moon": "full"}))
    assert task.failures == [FailureClass.RETRYABLE]
    assert task.failed[0].failure == "OfTomorrow"
    assert task.attempt == 2


def test_a_phase_that_is_not_known_makes_all_that_is_on_record_unknown() -> None:
    """So there can be no new phase of a task without a CRD version that older ones do not read."""
    attempt = {"number": 1, "pod": "t-1", "failure": "Retryable"}
    task = task_of(_task({"phase": "OfTomorrow", "attempts": [attempt]}))
    assert (task.attempts, task.attempt) == ((), 1)
