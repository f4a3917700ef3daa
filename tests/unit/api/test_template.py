"""The shape of a pod template: a map where a list belongs is refused, with the path."""

from typing import Any

import pytest
from pydantic import ValidationError

from bec_operator.api.job import JobSpec
from bec_operator.api.template import faults_of_template
from bec_operator.api.worker import MAX_PARAMETERS_BYTES


def _template(worker: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "worker", **(worker or {})}], **spec}}


WRONG: dict[str, dict[str, Any]] = {
    "containers[0].env: write a list there, not a map": _template({"env": {"FOO": "bar"}}),
    "containers[0].env[0]: write a map there, not a text": _template({"env": ["FOO=bar"]}),
    "containers[0].env[0].name is missing": _template({"env": [{"FOO": "bar"}]}),
    "containers[0].env[0].value: write a text there, not a number": _template(
        {"env": [{"name": "FOO", "value": 5}]}
    ),
    "containers[0].command: write a list there, not a text": _template({"command": "run"}),
    "containers[0].resources: write a map there, not a list": _template({"resources": []}),
    "containers[0].securityContext: write a map there, not a text": _template(
        {"securityContext": "x"}
    ),
    "volumes: write a list there, not a text": _template(volumes="x"),
    "volumes[0]: write a map there, not a text": _template(volumes=["scratch"]),
    "initContainers: write a list there, not a map": _template(initContainers={"name": "x"}),
    "initContainers[0]: write a map there, not a text": _template(initContainers=["a"]),
    "affinity: write a map there, not true or false": _template(affinity=True),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_shape_is_told_with_its_path(said: str) -> None:
    assert list(faults_of_template(WRONG[said])) == [f"spec.worker.template.spec.{said}"]


def test_what_pods_have_is_let_through() -> None:
    template = _template(
        {
            "image": "x", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            "command": ["sh"], "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}], "ports": None, "envFrom": None,
            "livenessProbe": {"exec": {"command": ["true"]}},
        },
        volumes=[{"name": "v", "emptyDir": {}}], tolerations=[{"operator": "Exists"}],
        nodeSelector={"gpu": "yes"}, runtimeClassName="nvidia",
    )  # fmt: skip
    assert list(faults_of_template(template)) == []


def _spec(**worker: Any) -> dict[str, Any]:
    return {
        "volumes": {"items": [{"wId": "W", "iId": "I"}]},
        "worker": {"template": _template(), **worker},
        "output": {"bucket": "b"},
    }


@pytest.mark.parametrize("letter", ["x", "བ"])
def test_parameters_that_fit_no_variable_are_refused_with_the_limit(letter: str) -> None:
    """`tektoncd/pipeline#8398`, `argoproj/argo-workflows#15471`.

    140,000 characters make a container that never starts: argument list too long.
    """
    fits = MAX_PARAMETERS_BYTES - len('{"pages": ""}')
    JobSpec.model_validate(_spec(parameters={"pages": letter * (fits // len(letter.encode()))}))
    with pytest.raises(ValidationError, match=f"{MAX_PARAMETERS_BYTES} is the limit"):
        JobSpec.model_validate(_spec(parameters={"pages": letter * (fits + 1)}))


def test_a_schema_of_results_that_is_not_understood_is_refused() -> None:
    pages = {"pages": {"type": "integer"}}
    schema = {"type": "object", "properties": pages}
    assert JobSpec.model_validate(_spec(result=schema)).worker.result == schema
    assert JobSpec.model_validate(_spec()).worker.result is None
    for wrong, said in (
        ({"type": "array"}, "write type: object"),
        ({"type": "object", "properties": {"pages": {"type": "int"}}}, "at pages: write one of"),
        ({"type": "object", "allOf": []}, "at its top: 'allOf' is not understood"),
    ):
        with pytest.raises(ValidationError, match=said):
            JobSpec.model_validate(_spec(result=wrong))


@pytest.mark.parametrize(
    "name", ["../../team-b/configmaps/x", "a/b", "..", ".", "A", "a b", "-a", "a?x", "a%2fb"]
)
def test_names_that_go_into_an_address_are_names(name: str) -> None:
    for spec in (
        _spec() | {"volumes": {"configMap": {"name": name, "key": "k"}}},
        _spec() | {"output": {"bucket": "b", "credentialsSecret": name}},
        _spec() | {"dependsOn": [{"job": name}]},
    ):
        with pytest.raises(ValidationError, match="pattern"):
            JobSpec.model_validate(spec)
