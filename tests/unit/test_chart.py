"""The chart, rendered by Helm: its rights, its security settings, and its ties to the code."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from bec_operator.settings import Settings
from tests.cluster.binaries import binary

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "helm" / "bec-operator"
IMAGE = "image.repository=registry.example.org/bec-operator"
CLUSTER = "bec-operator-cluster"
NAMESPACED = "watchNamespaces={texts,images}"

Object = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary("helm")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def template(*values: str) -> subprocess.CompletedProcess[str]:
    settings = [part for value in values for part in ("--set", value)]
    return helm("template", "bec-operator", str(CHART), "--namespace", "bec-system", *settings)


@cache
def rendered(*values: str) -> list[Object]:
    done = template(IMAGE, *values)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(kind: str, *values: str) -> list[Object]:
    return [each for each in rendered(*values) if each["kind"] == kind]


def deployment(*values: str) -> Object:
    spec: Object = of_kind("Deployment", *values)[0]["spec"]
    return spec


def container(*values: str) -> Object:
    (only,) = deployment(*values)["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(*values: str) -> dict[str, Object]:
    return {each["name"]: each for each in container(*values)["env"]}


def test_lint_is_clean() -> None:
    done = helm("lint", "--strict", str(CHART), "--set", IMAGE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_never_a_second_operator() -> None:
    spec = deployment()
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_the_pod_meets_the_restricted_level() -> None:
    pod = deployment()["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"])


@pytest.mark.parametrize("values", [(), (NAMESPACED,)], ids=["cluster-wide", "namespaced"])
def test_rights_are_few(values: tuple[str, ...]) -> None:
    roles = of_kind("ClusterRole", *values) + of_kind("Role", *values)
    rules = [rule for role in roles for rule in role["rules"]]
    granted = {part for rule in rules for field in rule.values() for part in field}
    assert "*" not in granted
    groups = {"", "apps", "bec.bdrc.io", "authentication.k8s.io"}
    assert {rule["apiGroups"][0] for rule in rules} == groups
    of_core = {name for rule in rules if rule["apiGroups"] == [""] for name in rule["resources"]}
    assert of_core == {"pods", "pods/status", "pods/log", "configmaps", "events", "nodes"}
    assert {verb for rule in rules for verb in verbs(rule, "nodes")} == {"get"}
    on_jobs = {verb for rule in operator_rules(*values) for verb in verbs(rule, "jobs")}
    assert on_jobs == {"get", "list", "watch"}


def operator_rules(*values: str) -> list[Object]:
    kind = "Role" if values else "ClusterRole"
    return [
        rule
        for role in of_kind(kind, *values)
        if role["metadata"]["name"] == "bec-operator"
        for rule in role["rules"]
    ]


def verbs(rule: Object, resource: str) -> list[str]:
    found: list[str] = rule["verbs"] if resource in rule["resources"] else []
    return found


def test_one_role_serves_all_namespaces() -> None:
    assert not of_kind("Role") + of_kind("RoleBinding")
    bound = {binding["roleRef"]["name"] for binding in of_kind("ClusterRoleBinding")}
    assert bound == {"bec-operator", CLUSTER}
    assert environment()["BEC_OPERATOR_NAMESPACES"]["value"] == ""


def test_named_namespaces_give_no_right_elsewhere_but_to_what_has_no_namespace() -> None:
    (binding,) = of_kind("ClusterRoleBinding", NAMESPACED)
    assert binding["roleRef"]["name"] == CLUSTER
    for kind in ("Role", "RoleBinding"):
        places = [each["metadata"]["namespace"] for each in of_kind(kind, NAMESPACED)]
        assert places == ["texts", "images"]
    for binding in of_kind("RoleBinding", NAMESPACED):
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["subjects"][0]["namespace"] == "bec-system"
    assert environment(NAMESPACED)["BEC_OPERATOR_NAMESPACES"]["value"] == "texts,images"
    assert operator_rules(NAMESPACED) == operator_rules() * 2


def test_cluster_roles_beside_the_operators_own_only_help_users() -> None:
    for role in of_kind("ClusterRole", NAMESPACED):
        labels = role["metadata"]["labels"]
        helps = labels.get("rbac.authorization.k8s.io/aggregate-to-admin") == "true"
        assert helps is (role["metadata"]["name"] != CLUSTER)
    (role,) = of_kind("ClusterRole", NAMESPACED, "userRoles.create=false")
    assert role["rules"] == [
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["tokenreviews"],
            "verbs": ["create"],
        },
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
    ]


def test_workers_are_told_of_their_service() -> None:
    (service,) = [s for s in of_kind("Service") if s["metadata"]["name"].endswith("-workers")]
    (port,) = service["spec"]["ports"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    url = f"http://{name}.{namespace}.svc:{port['port']}"
    variables = environment("worker.heartbeatSeconds=7")
    assert variables["BEC_OPERATOR_WORKER_URL"]["value"] == url
    assert variables["BEC_OPERATOR_HEARTBEAT_SECONDS"]["value"] == "7"
    assert port["targetPort"] in {each["name"] for each in container()["ports"]}
    assert service["spec"]["selector"] == deployment()["selector"]["matchLabels"]


def test_connections_are_limited_as_the_values_say() -> None:
    names = ("connections", "connections_of_address", "request_seconds", "idle_seconds")
    fields = {f"BEC_OPERATOR_WORKER_{name.upper()}": f"worker_{name}" for name in names}
    usual = environment()
    for variable, field in fields.items():
        assert float(usual[variable]["value"]) == Settings.model_fields[field].default
    given = environment(
        "worker.connections=2000000",
        "worker.connectionsOfAddress=50",
        "worker.requestSeconds=3",
        "worker.idleSeconds=30",
    )
    assert [given[name]["value"] for name in fields] == ["2000000", "50", "3", "30"]


def test_crds_are_the_generated_ones_and_are_kept() -> None:
    crds = {each["metadata"]["name"]: each for each in of_kind("CustomResourceDefinition")}
    generated = {file.stem: file for file in (CHECKOUT / "crds").glob("*.yaml")}
    assert set(crds) == set(generated) == {"jobs.bec.bdrc.io", "volumetasks.bec.bdrc.io"}
    for name, crd in crds.items():
        assert crd["spec"] == yaml.safe_load(generated[name].read_text())["spec"]
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not of_kind("CustomResourceDefinition", "crds.install=false")


def test_credentials_come_from_a_secret_or_an_identity() -> None:
    assert not [name for name in environment() if name.startswith("AWS_")]
    values = ("s3.credentialsSecret=keys", "s3.endpoint=https://s3.example.org", "s3.region=eu-1")
    variables = environment(*values)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert variables[name]["valueFrom"] == {"secretKeyRef": {"name": "keys", "key": name}}
    assert variables["AWS_ENDPOINT_URL_S3"]["value"] == "https://s3.example.org"
    assert variables["AWS_REGION"]["value"] == "eu-1"
    role = r"serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::1:role/bec"
    (account,) = of_kind("ServiceAccount", role)
    annotations = account["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/bec"}


def test_what_a_bucket_demands_is_a_setting_of_the_operator() -> None:
    """awslabs/mountpoint-s3#534, gomods/athens#2165."""
    values = {
        "serverSideEncryption": "aws:kms",
        "kmsKeyId": "key-1",
        "expectedBucketOwner": "111122223333",
        "requesterPays": "true",
        "patienceSeconds": "60",
    }
    settings = tuple(f"s3.{name}={value}" for name, value in values.items())
    names = {
        "BEC_OPERATOR_S3_SERVER_SIDE_ENCRYPTION": "aws:kms",
        "BEC_OPERATOR_S3_KMS_KEY_ID": "key-1",
        "BEC_OPERATOR_S3_REQUESTER_PAYS": "true",
        "BEC_OPERATOR_S3_PATIENCE_SECONDS": "60",
    }
    owner = template(IMAGE, *settings)
    assert "expectedBucketOwner" in owner.stderr, "a number is no text: it may begin with 0"
    file = (*settings[:2], *settings[3:])
    assert {name: environment(*file)[name]["value"] for name in names} == names
    done = template(IMAGE, "s3.serverSideEncryption=none")
    assert "serverSideEncryption" in done.stderr


def test_the_cas_of_the_store_are_mounted() -> None:
    assert not [name for name in environment() if name.startswith("BEC_OPERATOR_S3_CA")]
    values = ("s3.caBundle.configMap=cas", "s3.caBundle.key=bundle.pem")
    variables = environment(*values)
    assert variables["BEC_OPERATOR_S3_CA_CONFIG_MAP"]["value"] == "cas"
    assert variables["BEC_OPERATOR_S3_CA_KEY"]["value"] == "bundle.pem"
    [mount] = [each for each in container(*values)["volumeMounts"] if each["name"] == "s3-ca"]
    [volume] = [
        each
        for each in deployment(*values)["template"]["spec"]["volumes"]
        if each["name"] == "s3-ca"
    ]
    assert mount["readOnly"] is True
    assert variables["AWS_CA_BUNDLE"]["value"] == f"{mount['mountPath']}/ca.crt"
    assert volume["configMap"] == {
        "name": "cas",
        "items": [{"key": "bundle.pem", "path": "ca.crt"}],
    }


def test_notifications_are_signed_with_a_secret() -> None:
    assert not [name for name in environment() if "WEBHOOK" in name]
    webhook = "notifications.webhook"
    values = (f"{webhook}.url=https://hooks.example.org/bec", f"{webhook}.keySecret.name=hook")
    variables = environment(*values)
    assert variables["BEC_OPERATOR_WEBHOOK_URL"]["value"] == "https://hooks.example.org/bec"
    key = variables["BEC_OPERATOR_WEBHOOK_KEY"]
    assert key["valueFrom"] == {"secretKeyRef": {"name": "hook", "key": "key"}}


def test_a_service_account_that_is_there_can_be_used() -> None:
    values = ("serviceAccount.create=false", "serviceAccount.name=mine")
    assert not of_kind("ServiceAccount", *values)
    assert deployment(*values)["template"]["spec"]["serviceAccountName"] == "mine"
    assert of_kind("ClusterRoleBinding", *values)[0]["subjects"][0]["name"] == "mine"


def test_settings_know_every_variable_and_port() -> None:
    fields = Settings.model_fields
    known = {f"BEC_OPERATOR_{name}".upper() for name in fields}
    known |= {str(field.validation_alias) for field in fields.values() if field.validation_alias}
    webhook = "notifications.webhook"
    values = (f"{webhook}.url=https://hook", f"{webhook}.keySecret.name=hook")
    assert set(environment("s3.endpoint=https://s3", "s3.region=r", *values)) <= known
    ports = {each["name"]: each["containerPort"] for each in container()["ports"]}
    assert ports == {
        "workers": fields["worker_port"].default,
        "health": fields["health_port"].default,
        "metrics": fields["metrics_port"].default,
    }


def test_results_by_default_are_told_to_the_operator() -> None:
    known = "connections[0].name=c,connections[0].kind=sql,connections[0].secret=c"
    values = (f"{known},connections[0].namespaces[0]=ocr", "results.sql.connection=c")
    told = environment(*values)
    assert json.loads(str(told["BEC_OPERATOR_RESULTS"]["value"])) == {"sql": {"connection": "c"}}
    assert "BEC_OPERATOR_RESULTS" not in environment()


def test_schema_lists_exactly_the_values_and_the_settings_choices() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for name in ("global", "enabled"):  # of Helm, and of charts above this one
        assert schema["properties"].pop(name)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) == set(values)
    for name, part in schema["properties"].items():
        if "properties" in part:
            assert set(part["properties"]) == set(values[name]), name
    log = schema["properties"]["log"]["properties"]
    for name in ("level", "format"):
        assert log[name]["enum"] == list(get_args(Settings.model_fields[f"log_{name}"].annotation))


@pytest.mark.parametrize(("enabled", "alias"), [("true", ""), ("true", "bec"), ("false", "")])
def test_it_can_be_part_of_another_chart(tmp_path: Path, enabled: str, alias: str) -> None:
    """`cert-manager/cert-manager#7334`: a schema that refused the value of a condition."""
    part = {"name": "bec-operator", "version": "0.*", "repository": f"file://{CHART}"}
    name = alias or part["name"]
    needs = [{**part, "condition": f"{name}.enabled"} | ({"alias": alias} if alias else {})]
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": needs}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    packed = helm("dependency", "update", str(tmp_path))
    assert packed.returncode == 0, packed.stderr

    values = (
        f"{name}.{IMAGE}",
        f"{name}.enabled={enabled}",
        "global.registry=registry.example.org",
    )
    settings = [part for value in values for part in ("--set", value)]
    done = helm("template", "platform", str(tmp_path), *settings)
    assert done.returncode == 0, done.stderr
    kinds = {each["kind"] for each in yaml.safe_load_all(done.stdout) if each}
    assert ({"Deployment", "CustomResourceDefinition"} <= kinds) is (enabled == "true")
    wrong = helm("template", "platform", str(tmp_path), *settings, "--set", f"{name}.replicas=2")
    assert ("'replicas' not allowed" in wrong.stderr) is (enabled == "true")


def test_a_large_number_is_written_out() -> None:
    def limit(*values: str) -> object:
        return environment(*values)["BEC_OPERATOR_MAX_VOLUMES"]["value"]

    assert limit() == str(Settings.model_fields["max_volumes"].default)
    assert limit("maxVolumes=2000000") == "2000000"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((), "image.repository: say where"),
        ((IMAGE, "image.repo=x"), "additional properties 'repo' not allowed"),
        ((IMAGE, "replicas=2"), "additional properties 'replicas' not allowed"),
        ((IMAGE, "watchNamespaces={Texts}"), "does not match pattern"),
        ((IMAGE, "log.level=loud"), "value must be one of"),
        ((IMAGE, "s3.endpoint=s3.example.org"), "does not match pattern"),
        ((IMAGE, "notifications.webhook.url=hooks"), "does not match pattern"),
        ((IMAGE, "notifications.webhook.url=https://h/"), "keySecret.name: name the Secret"),
        ((IMAGE, "maxVolumes=20000000"), "'/maxVolumes': maximum"),
        ((IMAGE, "worker.heartbeatSeconds=0"), "exclusiveMinimum: got 0"),
        ((IMAGE, "worker.connections=0"), "minimum: got 0"),
        ((IMAGE, "serviceAccount.create=false"), "name the service account to use"),
    ],
)
def test_wrong_values_are_refused(values: tuple[str, ...], says: str) -> None:
    done = template(*values)
    assert done.returncode != 0
    assert says in done.stderr


def test_values_reach_the_pod(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    pod: Object = {
        "priorityClassName": "high",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    others: Object = {
        "extraEnv": [{"name": "AWS_CA_BUNDLE", "value": "/ca.pem"}],
        "podLabels": {"team": "texts"},
        "podAnnotations": {"note": "x"},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    file.write_text(yaml.safe_dump({**pod, **others}))
    done = helm("template", "bec", str(CHART), "--values", str(file), "--set", IMAGE)
    assert done.returncode == 0, done.stderr
    made = next(d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "Deployment")
    made_pod = made["spec"]["template"]
    assert pod.items() <= made_pod["spec"].items()
    assert made_pod["metadata"]["labels"]["team"] == "texts"
    assert made_pod["metadata"]["annotations"] == {"note": "x"}
    (only,) = made_pod["spec"]["containers"]
    assert others["extraEnv"][0] in only["env"]
    assert only["resources"]["limits"] == {"memory": "1Gi"}


CONNECTIONS = (
    "connections[0].name=catalogue",
    "connections[0].kind=sql",
    "connections[0].secret=the-catalogue",
    "connections[0].namespaces={texts}",
    "connections[1].name=queues",
    "connections[1].kind=sqs",
    "connections[1].namespaces={*}",
)


def test_connections_reach_the_operator_and_their_secrets_its_files() -> None:
    told = environment(*CONNECTIONS)["BEC_OPERATOR_CONNECTIONS"]["value"]
    settings = Settings(connections=json.loads(told))
    assert [(each.name, each.kind) for each in settings.connections] == [
        ("catalogue", "sql"),
        ("queues", "sqs"),
    ]
    assert not settings.connections[0].serves("images")
    assert settings.connections[1].serves("images")
    assert "the-catalogue" not in told, "which Secret it is concerns nobody but the kubelet"

    places = [m for m in container(*CONNECTIONS)["volumeMounts"] if "connection" in m["name"]]
    assert places == [
        {
            "name": "connection-catalogue",
            "mountPath": f"{settings.connections_folder}/catalogue",
            "readOnly": True,
        }
    ]
    volumes = deployment(*CONNECTIONS)["template"]["spec"]["volumes"]
    secret = {"secretName": "the-catalogue", "optional": True}
    assert {"name": "connection-catalogue", "secret": secret} in volumes


def test_without_connections_there_is_no_trace_of_them() -> None:
    assert "BEC_OPERATOR_CONNECTIONS" not in environment()
    assert not [v for v in deployment()["template"]["spec"]["volumes"] if "connect" in v["name"]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("connections[0].name=catalogue", "connections[0].kind=sql"), "namespaces"),
        (
            (
                "connections[0].name=catalogue",
                "connections[0].kind=sql",
                "connections[0].namespaces={texts}",
            ),
            "catalogue: name the Secret",
        ),
        (
            (
                "connections[0].name=Catalogue_1",
                "connections[0].kind=sqs",
                "connections[0].namespaces={texts}",
            ),
            "name",
        ),
    ],
)
def test_a_connection_that_lacks_something_is_refused(values: tuple[str, ...], said: str) -> None:
    done = template(IMAGE, *values)
    assert done.returncode != 0
    assert said in done.stderr
