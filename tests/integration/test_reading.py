"""What people read of a job and its tasks, and what a worker reads of its task."""

import pytest

from bec_ops.contract.volume import Volume
from tests.support.behaviours import fail, for_volumes, hang, in_turn, succeed
from tests.support.jobs import counts, is_true, job, numbered
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")


def test_what_people_read_of_a_running_job(space: Space, workers: Workers) -> None:
    workers.behaviour = for_volumes({"I0"}, fail(2, "no such page"), hang)
    live = space.submit(
        job("read", space.bucket, numbered(4), parallelism=3, retry={"limit": 1}, maxFailed=1)
    )
    live.wait_counts(running=3, failed=1)

    header, row = _table(space.kubectl("get", "bj"))
    columns = "NAME PHASE DONE PERCENT RUNNING FAILED WAITING ETA WORKERS REASON AGE"
    assert header == columns.split()
    assert row[:6] == ["read", "Running", "1/4", "25%", "3", "1"]
    assert "Running" in row
    assert _table(space.kubectl("get", "bec"))[0][0] == "NAME"

    header, row = _table(
        space.kubectl("get", "vt", "--field-selector", "status.phase=Failed", "-o", "wide")
    )
    columns = "NAME JOB WORK VOLUME PHASE ATTEMPT PROGRESS NODE AGE VERSION MESSAGE"
    assert header == columns.split()
    assert row[1:6] == ["read", "W1", "I0", "Failed", "1"]
    assert "no such page" in " ".join(row)

    complete = ("get", "bj", "--field-selector", "status.phase=Complete", "-o", "name")
    assert space.kubectl(*complete) == ""
    workers.release()
    live.wait_complete()
    assert space.kubectl(*complete) == "job.bec.bdrc.io/read\n"


def test_people_are_told_by_events(space: Space, workers: Workers) -> None:
    workers.behaviour = in_turn(fail(1), succeed)
    live = space.submit(job("told", space.bucket, numbered(3)))
    live.wait_complete()

    (begun,), (ended,) = space.events("told", "Running"), space.events("told", "Completed")
    assert (begun["type"], ended["type"]) == ("Normal", "Normal")
    assert ended["message"] == "all 3 volumes are done"
    assert "all 3 volumes are done" in space.kubectl("describe", "bj", "told")


def test_a_pod_gets_all_that_its_task_needs(space: Space, workers: Workers) -> None:
    """autoscaler#4048, #7095, karpenter#701: the "do not evict" marks, too."""
    parameters = {"model": "bod", "threshold": 0.5, "odd": "$(HOME) ཀ"}
    template: Body = {
        "metadata": {"labels": {"team": "ocr"}, "annotations": {"note": "x"}},
        "spec": {
            "containers": [
                {"name": "side", "image": "side:1"},
                {"name": "worker", "image": "w:1", "env": [{"name": "OWN", "value": "kept"}]},
            ]
        },
    }
    workers.behaviour = hang
    worker = {"template": template, "parameters": parameters}
    volume = Volume("W1", "$(BEC_JOB_ID)", "v1")
    output = {"bucket": space.bucket, "credentialsSecret": "keys"}
    live = space.submit(job("pod", space.bucket, [volume], worker=worker, output=output))
    (run,) = workers.running(1)

    environment, (pod,) = run.pod.environment, space.pods()
    assert run.pod.task.volume == volume
    assert run.pod.task.parameters == parameters
    assert environment["OWN"] == "kept"
    assert environment["BEC_JOB_ID"] == "pod"
    assert environment["BEC_WORKER_ID"] == f"{run.pod.name}/{run.pod.uid}"
    assert environment["AWS_REGION"] == space.cluster.s3.region
    meta, spec = pod["metadata"], pod["spec"]
    assert meta["labels"].items() >= {"team": "ocr", "bec.bdrc.io/job": "pod"}.items()
    assert meta["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert meta["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    assert meta["ownerReferences"][0]["kind"] == "VolumeTask"
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    main = next(c for c in spec["containers"] if c["name"] == "worker")
    assert main["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert main["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert main["securityContext"]["allowPrivilegeEscalation"] is False
    workers.release()
    live.wait_complete()


@pytest.mark.usefixtures("workers")
def test_who_applies_a_job_from_git_sees_no_drift(space: Space) -> None:
    """argo-cd#8586, kustomize-controller#701: only what is the Job's goes, and conditions tell."""
    made = job("from-git", space.bucket, numbered(3), history={"succeeded": 0})
    live = space.submit(made)
    before = live.read()
    live.wait_complete()
    until(lambda: not space.tasks(), "what is not history is cleaned away")
    after = live.read()
    assert after["spec"] == before["spec"]
    kept = ("annotations", "labels", "finalizers", "generation", "uid")
    assert [after["metadata"].get(key) for key in kept] == [
        before["metadata"].get(key) for key in kept
    ]
    assert is_true(after, "Ready")
    assert not is_true(after, "Reconciling")
    assert not is_true(after, "Stalled")
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"]


def test_history_is_kept_as_long_as_asked_for(space: Space, workers: Workers) -> None:
    workers.behaviour = for_volumes({"I0", "I1", "I2"}, fail(2))
    history = {"succeeded": 2, "failed": 1}
    live = space.submit(
        job("past", space.bucket, numbered(12), history=history, maxFailed=3, retry={"limit": 1})
    )
    found = live.wait_complete()

    assert counts(found) == {"total": 12, "succeeded": 9, "failed": 3}
    until(
        lambda: _phases(space) == ["Failed", "Succeeded", "Succeeded"],
        "one failed and two succeeded VolumeTasks are left",
    )


def _phases(space: Space) -> list[str]:
    return sorted(task.get("status", {}).get("phase", "") for task in space.tasks())


def _table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]
