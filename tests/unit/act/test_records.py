"""From the API server's pods to what decisions see of them."""

from typing import Any

import pytest

from bec_operator.act.kube.pod_records import pod_of
from bec_operator.act.kube.records import deployment_of, job_of, task_of
from bec_operator.api.names import AVOIDED_ANNOTATION
from bec_operator.decide.hosts.at_fault import MOST_AVOIDED
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import PodSeen, Verdict

NOW = 1000.0
FIRST_ATTEMPT = (
    '{"number":1,"pod":"w1","podUid":"w1-uid","session":"s","startTime":"2026-11-27T10:00:00Z"}'
)


def _raw(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "ns",
            "name": "task-1",
            "uid": "pod-uid",
            "resourceVersion": "7",
            "labels": {"bec.bdrc.io/job": "ocr", "bec.bdrc.io/task": "task"},
            "ownerReferences": [{"uid": "task-uid", "controller": True}],
            **metadata,
        },
        "spec": {"nodeName": "n1"},
        "status": status,
    }


def _worker(state: dict[str, Any], name: str = "worker") -> dict[str, Any]:
    return {"name": name, "state": state}


def _seen(phase: str, *containers: dict[str, Any], **more: Any) -> PodSeen:
    return pod_of(_raw({"phase": phase, "containerStatuses": [*containers], **more}), None, NOW)


def _disruption(reason: str, message: str = "") -> dict[str, Any]:
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return {"conditions": [target]}


def test_a_pod_that_waits_says_why() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}
    pod = _seen("Pending", _worker(waiting))
    assert (pod.waiting, pod.waiting_message) == ("ImagePullBackOff", "no such tag")
    assert pod.seen_running is None
    assert not pod.worker_ended


def test_the_end_of_the_worker_counts_though_a_sidecar_runs_on() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no pages"}}
    pod = _seen("Running", _worker({"running": {}}, "sidecar"), _worker(ended))
    assert pod.worker_ended
    assert pod.alive
    assert (pod.exit_code, pod.message, pod.seen_ended) == (3, "no pages", NOW)


def test_the_end_of_a_sidecar_is_not_the_end() -> None:
    ended = {"terminated": {"exitCode": 1}}
    pod = _seen("Running", _worker(ended, "sidecar"), _worker({"running": {}}))
    assert not pod.worker_ended
    assert pod.seen_running == NOW


def test_a_pod_that_failed_before_its_worker_began_has_no_exit_code() -> None:
    pod = _seen("Failed", reason="Evicted", message="The node was low on resource: memory")
    assert pod.worker_ended
    assert pod.disrupted
    assert pod.exit_code is None
    assert pod.reason == "Evicted"


@pytest.mark.parametrize(("status", "disrupted"), [("True", True), ("False", False)])
def test_a_disruption_target_is_disrupted(status: str, *, disrupted: bool) -> None:
    pod = _seen("Running", conditions=[{"type": "DisruptionTarget", "status": status}])
    assert pod.disrupted is disrupted


@pytest.mark.parametrize(
    ("status", "lost"),
    [
        ({"reason": "NodeLost", "message": "its node is silent"}, "its node is silent"),
        ({"reason": "NodeLost"}, "NodeLost"),
        ({"reason": "Evicted"}, ""),
        (_disruption("DeletionByPodGC", "node no longer exists"), "node no longer exists"),
        (_disruption("DeletionByTaintManager"), "DeletionByTaintManager"),
        (_disruption("EvictionByEvictionAPI", "evicted"), ""),
    ],
)
def test_a_lost_node_is_told_from_other_disruptions(status: dict[str, Any], lost: str) -> None:
    """`argo-workflows#9880`."""
    pod = _seen("Failed", **status)
    assert pod.disrupted
    assert pod.node_lost == lost


def test_the_end_of_a_grace_is_known() -> None:
    raw = _raw({"phase": "Running"}, deletionTimestamp="1970-01-01T00:16:40Z")
    assert pod_of(raw, None, NOW).grace_ends == NOW
    assert pod_of(_raw({}), None, NOW).grace_ends is None


def test_moments_that_were_seen_before_are_kept() -> None:
    first = _seen("Running", _worker({"running": {}}))
    again = pod_of(_raw({"phase": "Succeeded"}, resourceVersion="9"), first, NOW + 50)
    assert (again.seen_running, again.seen_ended) == (NOW, NOW + 50)
    later = pod_of(_raw({"phase": "Succeeded"}, resourceVersion="10"), again, NOW + 99)
    assert later.seen_ended == NOW + 50


def test_another_pod_of_the_same_name_has_its_own_moments() -> None:
    first = _seen("Running", _worker({"running": {}}))
    other = pod_of(_raw({"phase": "Pending"}, uid="another"), first, NOW + 50)
    assert other.seen_running is None


def test_a_spec_that_cannot_be_read_is_a_problem_with_a_place() -> None:
    raw = _raw({})
    job = job_of({**raw, "spec": {"volumes": {}, "worker": {"template": {}}}})
    assert job.spec is None
    assert "spec.output" in job.problem
    assert "exactly one source of volumes" in job.problem


def test_a_status_that_somebody_else_broke_is_taken_for_none() -> None:
    job = job_of({**_raw({"counts": {"total": "many"}}), "spec": {}})
    assert job.status.counts.total == 0


def test_the_last_word_of_a_worker_of_our_library_is_understood() -> None:
    word = '{"class": "OutOfMemory", "message": "a child was killed"}'
    pod = _seen("Failed", _worker({"terminated": {"exitCode": 137, "message": word}}))
    assert (pod.reported, pod.message) == (FailureClass.OUT_OF_MEMORY, "a child was killed")
    for other in ('{"class": "Nonsense"}', '{"half', "[1]", "plain"):
        pod = _seen("Failed", _worker({"terminated": {"exitCode": 1, "message": other}}))
        assert (pod.reported, pod.message) == (None, other)


def test_what_we_wrote_on_the_pod_is_read_again() -> None:
    written = [
        {"type": "bec.bdrc.io/Heartbeat", "lastTransitionTime": "1970-01-01T00:16:40Z"},
        {"type": "bec.bdrc.io/Stopped", "reason": "TooLong", "message": "it ran for 6h"},
    ]
    pod = _seen("Running", _worker({"running": {}}), conditions=written)
    assert pod.called_since == NOW
    assert pod.stopped == Verdict(FailureClass.TOO_LONG, "it ran for 6h")


def test_the_nodes_that_a_deployment_avoids_are_read_again() -> None:
    names = ["n1", "a.b-2", "n1", "", "No", "-", "x" * 254, *(f"m{n}" for n in range(30))]
    meta: dict[str, Any] = {"namespace": "ns", "name": "d", "uid": "d", "resourceVersion": "1"}
    raw = {"metadata": meta, "spec": {}}
    assert deployment_of(raw).avoids == ()
    meta["annotations"] = {AVOIDED_ANNOTATION: ",".join(names)}
    avoided = deployment_of(raw).avoids
    assert avoided[:3] == ("n1", "a.b-2", "m0")
    assert len(avoided) == MOST_AVOIDED


def test_a_task_that_was_made_for_a_worker_has_its_first_attempt() -> None:
    told = FIRST_ATTEMPT
    raw = _task(annotations={"bec.bdrc.io/first-attempt": told})
    begun = task_of(raw).recorded_begun
    assert begun is not None
    assert (begun.number, begun.pod_uid, begun.session) == (1, "w1-uid", "s")


def test_once_the_status_has_attempts_only_they_count() -> None:
    told = FIRST_ATTEMPT
    raw = _task(annotations={"bec.bdrc.io/first-attempt": told})
    raw["status"] = {"attempts": [{"number": 1, "pod": "w1", "failure": "Silent"}]}
    task = task_of(raw)
    assert (task.recorded_begun, task.attempt) == (None, 2)


@pytest.mark.parametrize(
    "told",
    [
        "w1",
        FIRST_ATTEMPT.replace("2026", "x"),
        FIRST_ATTEMPT.replace(":1,", ":2,"),
        FIRST_ATTEMPT.replace('"s"', '"s","failure":"Silent"'),
    ],
)
def test_a_first_attempt_that_somebody_else_wrote_is_taken_for_none(told: str) -> None:
    assert task_of(_task(annotations={"bec.bdrc.io/first-attempt": told})).attempts == ()


def _task(**meta: Any) -> dict[str, Any]:
    whole = {"namespace": "ns", "name": "t", "uid": "u", "resourceVersion": "1", **meta}
    return {"metadata": whole, "spec": {"job": "j", "index": 0}}
