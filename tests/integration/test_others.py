"""Others in the way: Jobs that write to the same place, and strangers with our names."""

from datetime import UTC, datetime

import pytest

from bec_operator.act.ground.api_server import bec, core
from bec_operator.api.names import TASK_LABEL, ledger_name, pod_name, task_name
from bec_ops.contract.volume import Volume
from tests.support.behaviours import hang, lack_image, succeed
from tests.support.jobs import TEMPLATE, condition, counts, is_true, job, numbered
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

STRANGER: Body = {"containers": [{"name": "main", "image": "x"}]}


def test_the_younger_of_two_jobs_waits(space: Space, workers: Workers) -> None:
    """They share two volumes of one job id; a third one shares nothing and is not held up."""
    workers.behaviour = hang
    older = space.submit(job("older", space.bucket, numbered(3), jobId="same"))
    workers.running(3)
    younger = space.submit(job("younger", space.bucket, numbered(4)[1:], jobId="same"))
    apart = space.submit(job("apart", space.bucket, numbered(2, work="W2"), jobId="same"))

    message = younger.wait_stalled("OutputConflict")
    assert f"{space.namespace}/older" in message
    assert "2 of this Job's volumes" in message
    workers.running(5)
    apart.wait_counts(running=2)
    assert "younger" not in {run.pod.job for run in workers.runs.all()}

    workers.release()
    assert counts(older.wait_complete()) == {"total": 3, "succeeded": 3}
    assert counts(younger.wait_complete()) == {"total": 3, "succeeded": 3, "alreadyDone": 2}
    workers.runs.check_each_ran_once(6)
    assert counts(apart.wait_complete()) == {"total": 2, "succeeded": 2}


def test_the_younger_goes_on_when_the_older_is_deleted(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    older = space.submit(job("older", space.bucket, numbered(1), jobId="same"))
    workers.running(1)
    younger = space.submit(job("younger", space.bucket, numbered(1), jobId="same"))
    younger.wait_stalled("OutputConflict")

    workers.release()
    older.delete()
    assert younger.wait_complete()["status"]["counts"]["succeeded"] == 1


def test_an_ended_one_that_is_opened_again_waits(
    space: Space, workers: Workers, operator: Operator
) -> None:
    """While another runs that writes to the same place, also past a restart."""
    ended = space.submit(job("ended", space.bucket, numbered(2), jobId="same"))
    ended.wait_complete()
    workers.behaviour = hang
    other = space.submit(job("other", space.bucket, numbered(3), jobId="same"))
    workers.running(1)

    space.wait_next_second()
    ended.patch(redoAt=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert f"{space.namespace}/other" in ended.wait_stalled("OutputConflict")
    operator.kill()
    operator.start()
    ended.patch(parallelism=7)  # it is looked at again
    ended.wait(
        lambda found: found["status"]["observedGeneration"] == found["metadata"]["generation"],
        "the change is seen",
    )
    assert ended.wait_stalled("OutputConflict")
    assert len(workers.runs.all()) == 3

    workers.release()
    other.wait_complete()
    assert counts(ended.wait_complete()) == {"total": 2, "succeeded": 2}
    assert len(workers.runs.all()) == 5


def test_a_config_map_with_the_name_of_the_ledger(space: Space, workers: Workers) -> None:
    space.put_config_map(ledger_name("taken"), data={"mine": "do not touch"})
    live = space.submit(job("taken", space.bucket, numbered(2)))

    message = live.wait_stalled("LedgerTaken")
    assert "taken-ledger" in message
    found = space.ledger("taken")
    assert found is not None
    assert found["data"] == {"mine": "do not touch"}
    assert not workers.runs.all()

    space.kube.delete(core(space.namespace, "configmaps", ledger_name("taken")))
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


def test_a_strangers_pod_with_the_name_of_an_attempt(space: Space, workers: Workers) -> None:
    """dask-kubernetes#654, crate-operator#48: a clear error, and no endless tries."""
    volume = Volume("W1", "I1")
    name = pod_name(task_name("blocked", volume), 1)
    stranger = space.make_pod(name, STRANGER)
    live = space.submit(job("blocked", space.bucket, [volume, *numbered(2, work="W2")]))

    message = live.wait_stalled("PodNameTaken")
    assert name in message
    live.wait_counts(succeeded=2)
    assert space.kube.get(stranger)["spec"]["containers"][0]["name"] == "main"

    space.kube.delete(stranger, grace=0)
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


def test_a_strangers_pod_in_our_labels_counts_for_nothing(space: Space, workers: Workers) -> None:
    """It ended well, in the name of the task; it is not ours all the same."""
    volume = Volume("W1", "I1")
    task = task_name("lured", volume)
    name = pod_name(task, 1)
    labels = {"bec.bdrc.io/job": "other", TASK_LABEL: task}
    workers.behaviour = lambda pod: pod.start()
    env = [{"name": "BEC_JOB_ID", "value": "lured"}, {"name": "BEC_W_ID", "value": "W1"}]
    env += [{"name": "BEC_I_ID", "value": "I1"}, {"name": "BEC_OUTPUT_URI", "value": "s3://b/k/"}]
    spec = {"containers": [{"name": "worker", "image": "x", "env": env}]}
    stranger = space.make_pod(name, spec, labels=labels)
    live = space.submit(job("lured", space.bucket, [volume]))

    live.wait_stalled("PodNameTaken")
    (run,) = workers.running(1)
    workers.play(run, lambda pod: pod.end(0))
    live.wait_stalled("PodNameTaken")

    workers.release()
    space.kube.delete(stranger)
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}


def test_pods_of_an_older_job_of_the_same_name(space: Space, workers: Workers) -> None:
    """crate-operator#48: they take their time; the new Job waits, and begins with what it can."""
    workers.behaviour = hang
    workers.stubborn = True
    old = space.submit(job("heir", space.bucket, numbered(2)))
    left = workers.running(2)
    old.delete()
    until(lambda: not space.tasks(), "the old Job's tasks are gone", timeout=60)
    workers.behaviour = succeed
    new = space.submit(job("heir", space.bucket, numbered(4)))

    message = new.wait_stalled("WaitingForOldPod")
    assert any(run.pod.name in message for run in left)
    new.wait_counts(succeeded=2)
    assert len(workers.runs.all()) == 4

    for run in left:
        workers.play(run, lambda pod: pod.end(0))
    assert counts(new.wait_complete()) == {"total": 4, "succeeded": 4}
    assert not workers.runs.overlaps
    assert len(workers.runs.all()) == 6


def test_a_strangers_task_of_our_name(space: Space, workers: Workers) -> None:
    volume = Volume("W1", "I1")
    name = task_name("tasked", volume)
    body = {
        "apiVersion": "bec.bdrc.io/v1alpha1",
        "kind": "VolumeTask",
        "metadata": {"name": name},
        "spec": {"job": "tasked", "index": 0, "volume": {"wId": "W1", "iId": "I1"}},
    }
    space.kube.create(bec(space.namespace, "volumetasks"), body)
    live = space.submit(job("tasked", space.bucket, [volume]))

    message = live.wait_stalled("WaitingForOldTask")
    assert name in message
    assert not workers.runs.all()

    space.kube.delete(bec(space.namespace, "volumetasks", name))
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}


def test_a_full_quota_is_no_fault_of_the_template(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    quotas = core(space.namespace, "resourcequotas")
    space.kube.create(quotas, _quota(pods="2"))
    live = space.submit(job("quota", space.bucket, numbered(5)))

    workers.running(2)
    found = live.wait(
        lambda found: condition(found, "Ready")["reason"] == "QuotaExceeded", "QuotaExceeded"
    )
    assert found["status"]["phase"] == "Running"
    assert is_true(found, "Ready")
    assert not is_true(found, "Stalled")
    assert "exceeded quota: room" in condition(found, "Ready")["message"]

    space.kube.patch(f"{quotas}/room", _quota(pods="5"))
    workers.running(5)
    live.wait(lambda found: condition(found, "Ready")["reason"] == "Running", "Running")
    workers.release()
    assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    workers.runs.check_each_ran_once(5)


def test_a_full_quota_of_config_maps_is_told_before_a_job_begins(
    space: Space, workers: Workers
) -> None:
    """`UKGovernmentBEIS/inspect_k8s_sandbox#79`, `cloudnative-pg/cloudnative-pg#1028`.

    The Job said that it was being checked, and the cause stood in the operator's log alone.
    """
    quotas = core(space.namespace, "resourcequotas")
    space.kube.create(quotas, _quota(**{"count/configmaps": "0"}))
    live = space.submit(job("unrecorded", space.bucket, numbered(1)))

    message = live.wait_stalled("QuotaExceeded")
    assert "the ledger, a ConfigMap, cannot be made" in message
    assert not workers.runs.all()

    space.kube.delete(f"{quotas}/room")
    assert counts(live.wait_complete(60.0)) == {"total": 1, "succeeded": 1}


def test_a_quota_that_wants_requests_is_one(space: Space, workers: Workers) -> None:
    space.kube.create(core(space.namespace, "resourcequotas"), _quota(**{"limits.memory": "1Gi"}))
    live = space.submit(job("unlimited", space.bucket, numbered(2)))

    message = live.wait_stalled("TemplateRejected")
    assert "must specify limits.memory" in message
    assert not workers.runs.all()

    limits = {"resources": {"limits": {"memory": "100Mi"}}}
    spec = {"containers": [{"name": "worker", "image": "x", **limits}]}
    live.patch(worker={"template": {"spec": spec}})
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


def test_a_namespace_that_forbids_privileges(space: Space, workers: Workers) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    space.kube.patch(core(None, "namespaces", space.namespace), {"metadata": {"labels": labels}})
    bold = {**TEMPLATE["spec"], "hostNetwork": True}
    worker = {"template": {"spec": bold}}
    live = space.submit(job("bold", space.bucket, numbered(2), worker=worker))

    message = live.wait_stalled("TemplateRejected")
    assert "PodSecurity" in message
    assert "hostNetwork=true" in message
    assert not workers.runs.all()

    live.patch(worker={"template": {"spec": {"hostNetwork": None}}})
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


def test_an_image_that_cannot_be_pulled(space: Space, workers: Workers) -> None:
    workers.behaviour = lack_image
    live = space.submit(job("image", space.bucket, numbered(3), parallelism=2))

    message = live.wait_stalled("ImagePull")
    assert "ImagePullBackOff" in message
    assert "worker:1" in message
    assert len(workers.runs.all()) == 2  # they keep trying, and hold their slots

    workers.release()
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


def _quota(**hard: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "room"},
        "spec": {"hard": hard},
    }
