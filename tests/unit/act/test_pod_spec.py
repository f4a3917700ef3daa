"""The pod of an attempt: the template, and what every task pod has."""

from datetime import UTC, datetime
from typing import Any

from bec_operator.act.kube.pod_spec import AttemptOf, pool_deployment, task_pod
from bec_operator.api.dependency import Dependency
from bec_operator.api.job import JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.gate import Place
from bec_operator.decide.volumes.gates import Gates
from bec_operator.settings import Settings
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.settings import StoreSettings
from bec_ops.contract.task import Assignment, Task
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings

VOLUME = Volume("W1", "I/1", "v-2")
SETTINGS = Settings(AWS_ENDPOINT_URL_S3="http://s3:8333", AWS_REGION="us-east-1")  # type: ignore[call-arg]

OUTPUT = "s3://bec/artefacts/ocr/W1-I%2F1-v%2D2/"
ATTEMPT = AttemptOf(VOLUME, OUTPUT, "task", "task-uid", 2)


def _pod(template: dict[str, Any], heartbeat: str = "5m", **output: Any) -> dict[str, Any]:
    return task_pod(_memory(template, heartbeat, **output), ATTEMPT, SETTINGS)


def _memory(
    template: dict[str, Any],
    heartbeat: str = "5m",
    result: dict[str, Any] | None = None,
    **output: Any,
) -> Memory:
    spec = JobSpec.model_validate(
        {
            "volumes": {"items": [{"wId": "W1", "iId": "I/1", "iVersion": "v-2"}]},
            "worker": {
                "template": template,
                "parameters": {"model": "བོད $(HOME)"},
                "result": result,
            },
            "output": {"bucket": "bec", **output},
            "timeouts": {"heartbeat": heartbeat},
        }
    )
    memory = Memory(JobSeen("ns", "ocr", "job-uid", 1, 1, "2026", spec))
    memory.books.volumes = [VOLUME]
    memory.books.prefixes = [OutputTemplate.parse(memory.output.prefix).prefix("ocr", VOLUME)]
    return memory


def _worker(pod: dict[str, Any]) -> dict[str, Any]:
    worker: dict[str, Any] = next(c for c in pod["spec"]["containers"] if c["name"] == "worker")
    return worker


def _plain(pod: dict[str, Any]) -> dict[str, str]:
    return {e["name"]: e["value"].replace("$$(", "$(") for e in _worker(pod)["env"] if "value" in e}


SIMPLE = {"spec": {"containers": [{"name": "worker", "image": "x"}]}}


def test_the_worker_finds_its_task_in_its_environment() -> None:
    task = Task.from_environment(_plain(_pod(SIMPLE)))
    assert (task.volume, task.attempt, task.job_id) == (VOLUME, 2, "ocr")
    assert task.output_uri == OUTPUT
    assert task.parameters == {"model": "བོད $(HOME)"}


def test_the_worker_learns_what_is_expected_of_its_output() -> None:
    memory = _memory(SIMPLE, expect=["*.txt", "$(HOME)/*"])
    for plain in (
        _plain(task_pod(memory, ATTEMPT, SETTINGS)),
        _plain(pool_deployment(memory, SETTINGS)["spec"]["template"]),
    ):
        assert Assignment.from_environment(plain).expect == ("*.txt", "$(HOME)/*")
    assert "BEC_EXPECT" not in _plain(_pod(SIMPLE))


def test_the_worker_learns_what_its_result_must_be_like() -> None:
    schema = {"type": "object", "properties": {"$(HOME)": {"type": "integer"}}}
    memory = _memory(SIMPLE, result=schema)
    for plain in (
        _plain(task_pod(memory, ATTEMPT, SETTINGS)),
        _plain(pool_deployment(memory, SETTINGS)["spec"]["template"]),
    ):
        assert Assignment.from_environment(plain).result_schema == schema
    assert "BEC_RESULT_SCHEMA" not in _plain(_pod(SIMPLE))


def test_the_worker_learns_where_its_dependencies_write() -> None:
    memory = _memory(SIMPLE)
    memory.books.gates = Gates(
        [Dependency(job="lines"), Dependency(job="layout")], memory.books.volumes
    )
    places = [Place("ldv1", "b", "p/{job_id}/"), Place("layout", "c", "q/", 1_800_000_000)]
    for gate, place in zip(memory.books.gates, places, strict=True):
        gate.locate(place)
    plain = _plain(task_pod(memory, ATTEMPT, SETTINGS))
    known = Surroundings.from_environment(plain).dependencies
    assert (known["ldv1"].bucket, known["ldv1"].prefix) == ("b", "p/{job_id}/")
    assert known["ldv1"].redo_at is None
    assert known["layout"].redo_at == datetime.fromtimestamp(1_800_000_000, UTC)
    assert "BEC_DEPENDENCIES" not in _plain(_pod(SIMPLE))


def test_the_pod_is_named_labelled_and_owned() -> None:
    metadata = _pod({"metadata": {"labels": {"team": "a"}}, **SIMPLE})["metadata"]
    assert metadata["name"] == "task-2"
    assert metadata["labels"] == {
        "team": "a",
        "bec.bdrc.io/job": "ocr",
        "bec.bdrc.io/task": "task",
        "bec.bdrc.io/owner-uid": "task-uid",
    }
    assert metadata["ownerReferences"][0]["uid"] == "task-uid"
    assert metadata["annotations"]["karpenter.sh/do-not-disrupt"] == "true"


def test_it_never_restarts_and_holds_no_kubernetes_rights() -> None:
    spec = _pod({"spec": {**SIMPLE["spec"], "restartPolicy": "Always"}})["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False


def test_its_only_token_is_for_the_operator_alone() -> None:
    own = {"name": "models", "emptyDir": {}}
    spec = _pod({"spec": {**SIMPLE["spec"], "volumes": [own]}})["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["models", "bec-token", "bec-work"]
    (source,) = spec["volumes"][1]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "bec.bdrc.io"
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    plain = _plain({"spec": spec})
    assert plain["BEC_TOKEN_FILE"] == f"{mounts['bec-token']}/token"
    assert plain["BEC_WORK_DIR"] == mounts["bec-work"]


def test_no_token_for_the_api_server_gets_in_by_the_template() -> None:
    config = {"configMap": {"name": "models"}}
    cloud = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "cloud"}}
    sources = [{"serviceAccountToken": {"path": "token"}}, config, cloud]
    own = {"name": "mixed", "projected": {"sources": sources}}
    spec = _pod({"spec": {**SIMPLE["spec"], "volumes": [own]}})["spec"]
    assert spec["volumes"][0] == {"name": "mixed", "projected": {"sources": [config, cloud]}}


def test_it_calls_three_times_within_the_time_out_at_least() -> None:
    assert _plain(_pod(SIMPLE))["BEC_HEARTBEAT_SECONDS"] == "30"
    assert _plain(_pod(SIMPLE, heartbeat="12s"))["BEC_HEARTBEAT_SECONDS"] == "4"


def test_it_is_restricted_unless_the_template_says_otherwise() -> None:
    containers = [
        {"name": "worker", "image": "x", "securityContext": {"runAsUser": 7}},
        {"name": "sidecar", "image": "y"},
    ]
    pod = _pod({"spec": {"containers": containers, "securityContext": {"fsGroup": 5}}})
    assert pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "fsGroup": 5,
    }
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert _worker(pod)["securityContext"] == {**restricted, "runAsUser": 7}
    assert pod["spec"]["containers"][1]["securityContext"] == restricted


def test_the_templates_own_variables_stay_but_the_task_is_ours() -> None:
    env = [{"name": "AWS_REGION", "value": "eu"}, {"name": "BEC_JOB_ID", "value": "mine"}]
    pod = _pod({"spec": {"containers": [{"name": "worker", "image": "x", "env": env}]}})
    names = [e["name"] for e in _worker(pod)["env"]]
    assert len(names) == len(set(names))
    assert _plain(pod)["AWS_REGION"] == "eu"
    assert _plain(pod)["BEC_JOB_ID"] == "ocr"


def test_credentials_come_from_the_secret_that_the_job_names() -> None:
    assert _worker(_pod(SIMPLE, credentialsSecret="bec-s3"))["envFrom"] == [
        {"secretRef": {"name": "bec-s3"}}
    ]
    assert "envFrom" not in _worker(_pod(SIMPLE))


def test_workers_are_told_what_buckets_demand() -> None:
    """awslabs/mountpoint-s3#534, gomods/athens#2165: as the operator is."""
    settings = SETTINGS.model_copy(
        update={
            "s3_server_side_encryption": "aws:kms",
            "s3_kms_key_id": "key-1",
            "s3_expected_bucket_owner": "111122223333",
            "s3_requester_pays": True,
            "s3_patience_seconds": 60.0,
        }
    )
    pod = task_pod(_memory(SIMPLE), ATTEMPT, settings)
    assert StoreSettings.from_environment(_plain(pod)) == settings.store
    assert not [name for name in _plain(_pod(SIMPLE)) if name.startswith("BEC_S3_")]


def test_workers_find_the_cas_of_the_store() -> None:
    settings = SETTINGS.model_copy(update={"s3_ca_config_map": "cas", "s3_ca_key": "bundle.pem"})
    pod = task_pod(_memory(SIMPLE), ATTEMPT, settings)
    file = _plain(pod)["AWS_CA_BUNDLE"]
    [mount] = [each for each in _worker(pod)["volumeMounts"] if each["name"] == "bec-s3-ca"]
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "bec-s3-ca"]
    [item] = volume["configMap"]["items"]
    assert file == f"{mount['mountPath']}/{item['path']}"
    assert (volume["configMap"]["name"], item["key"]) == ("cas", "bundle.pem")
    assert "AWS_CA_BUNDLE" not in _plain(_pod(SIMPLE))
