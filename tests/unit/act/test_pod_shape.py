"""What earlier attempts change in the next one's pod."""

from typing import Any

import pytest

from bec_operator.act.kube.retry_changes import fit, shun_nodes
from bec_operator.api.retry import OutOfMemory
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.avoided_nodes import nodes_ruled_out
from bec_operator.decide.hosts.at_fault import Hosts
from bec_operator.decide.sight.failures import FailureClass

RULE = OutOfMemory(factor=1.5, max="4Gi")
OOM = FailureClass.OUT_OF_MEMORY


def _attempts(*failed: FailureClass, node: str = "") -> list[Attempt]:
    return [
        Attempt(number=number, pod=f"t-{number}", node=node, failure=failure.label)
        for number, failure in enumerate(failed, 1)
    ]


def _resources(
    given: dict[str, Any], *failed: FailureClass, rule: OutOfMemory = RULE
) -> dict[str, Any]:
    worker = {"name": "worker", "resources": given}
    fit({"containers": [worker]}, worker, _attempts(*failed), rule)
    fitted: Any = worker["resources"]
    return dict(fitted)


@pytest.mark.parametrize(
    ("given", "kills", "fitted"),
    [
        ("1Gi", 0, "1Gi"),
        ("1Gi", 1, "1536Mi"),
        ("1Gi", 2, "2304Mi"),
        ("1Gi", 3, "3456Mi"),
        ("1Gi", 4, "4Gi"),  # never above max, and written as it is
        ("6Gi", 2, "6Gi"),  # never below what the template says
        ("4096Mi", 1, "4096Mi"),
        ("1000M", 1, "1431Mi"),  # 1430.5 rounded up
        (1073741824, 1, "1536Mi"),
        ("1e9", 1, "1431Mi"),
        ("0", 1, "0"),
        ("much", 1, "much"),  # for the API server to refuse
    ],
)
def test_memory_grows_with_each_kill(given: object, kills: int, fitted: object) -> None:
    kind = {"memory": given, "cpu": "2"}
    assert _resources({"limits": kind}, *[OOM] * kills) == {"limits": {**kind, "memory": fitted}}


def test_only_kills_for_memory_count() -> None:
    failed = (FailureClass.RETRYABLE, OOM, FailureClass.DISRUPTED)
    assert _resources({"limits": {"memory": "1Gi"}}, *failed) == {"limits": {"memory": "1536Mi"}}


def test_without_a_limit_only_the_request_grows() -> None:
    assert _resources({"requests": {"memory": "1Gi"}, "limits": {"cpu": "2"}}, OOM) == {
        "requests": {"memory": "1536Mi"},
        "limits": {"cpu": "2"},
    }
    for nothing in ({}, {"requests": {"cpu": "1"}}, {"limits": None}):
        assert _resources(nothing, OOM) == nothing


@pytest.mark.parametrize(
    ("request_", "limit", "most", "fitted"),
    [
        ("1Gi", "2Gi", "64Gi", ("1536Mi", "3072Mi")),
        ("1Gi", "3Gi", "4Gi", ("1536Mi", "4Gi")),
        ("3Gi", "3Gi", "4Gi", ("4Gi", "4Gi")),
        ("3Gi", "5Gi", "4Gi", ("4Gi", "5Gi")),  # the limit is above max already
        ("952Mi", "953Mi", "999999999", ("999999999", "999999999")),
    ],
)
def test_a_request_never_passes_its_limit(
    request_: str, limit: str, most: str, fitted: tuple[str, str]
) -> None:
    given = {"requests": {"memory": request_}, "limits": {"memory": limit}}
    rule = OutOfMemory(factor=1.5, max=most)
    found = _resources(given, OOM, rule=rule)
    assert (found["requests"]["memory"], found["limits"]["memory"]) == fitted


def test_a_container_without_resources_stays_without() -> None:
    worker = {"name": "worker"}
    fit({"containers": [worker]}, worker, _attempts(OOM), RULE)
    assert not worker.get("resources")


KIND = "preferredDuringSchedulingIgnoredDuringExecution"


def _shunned(failed: list[Attempt], **spec: Any) -> list[str]:
    worker = {"name": "worker"}
    fitted: dict[str, Any] = {"containers": [worker], **spec}
    fit(fitted, worker, failed, RULE)
    terms = fitted.get("affinity", {}).get("nodeAffinity", {}).get(KIND, [])
    return [
        term["preference"]["matchFields"][0]["values"][0]
        for term in terms
        if "matchFields" in term["preference"]
    ]


def test_the_last_three_nodes_of_failures_are_avoided() -> None:
    nodes = ("a", "b", "a", "c", "d", "", "d")
    failed = [attempt for node in nodes for attempt in _attempts(OOM, node=node)]
    assert _shunned(failed) == ["d", "c", "a"]


def test_it_is_a_wish_with_the_templates_own_beside_it() -> None:
    own = {"weight": 1, "preference": {"matchExpressions": []}}
    required: dict[str, Any] = {"nodeSelectorTerms": []}
    needed = "requiredDuringSchedulingIgnoredDuringExecution"
    template = {"podAffinity": {"x": 1}, "nodeAffinity": {needed: required, KIND: [own]}}
    spec: dict[str, Any] = {"affinity": template}
    fit(spec, {"name": "worker"}, _attempts(FailureClass.RETRYABLE, node="n1"), RULE)
    assert spec["affinity"] == {
        "podAffinity": {"x": 1},
        "nodeAffinity": {
            needed: required,
            KIND: [
                own,
                {
                    "weight": 100,
                    "preference": {
                        "matchFields": [
                            {"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}
                        ]
                    },
                },
            ],
        },
    }


@pytest.mark.parametrize(
    ("failure", "avoided"),
    [
        (FailureClass.RETRYABLE, True),
        (FailureClass.DISRUPTED, True),
        (FailureClass.NODE_LOST, True),
        (FailureClass.SILENT, True),
        (FailureClass.TERMINAL, False),
        (FailureClass.MARKER_MISSING, False),
        (FailureClass.MISCONFIGURED, False),
    ],
)
def test_a_failure_may_say_nothing_of_the_node(failure: FailureClass, *, avoided: bool) -> None:
    assert _shunned(_attempts(failure, node="n1")) == (["n1"] if avoided else [])


def test_the_first_attempt_is_as_the_template_has_it() -> None:
    worker = {"name": "worker", "resources": {"limits": {"memory": "1Gi"}}}
    spec = {"containers": [worker]}
    fit(spec, worker, [], RULE)
    assert spec == {"containers": [{"name": "worker", "resources": {"limits": {"memory": "1Gi"}}}]}


def test_nodes_at_fault_are_out_of_the_question_beside_what_the_template_asks_for() -> None:
    gpu = {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
    big = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["big"]}]}
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    spec: dict[str, Any] = {
        "affinity": {"nodeAffinity": {kind: {"nodeSelectorTerms": [gpu, big, {}]}}}
    }
    shun_nodes(spec, ["n3"], ["n1", "n2"])
    found = spec["affinity"]["nodeAffinity"]
    no = [{"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in ("n1", "n2")]
    assert found[kind]["nodeSelectorTerms"] == [
        {**gpu, "matchFields": no},
        {"matchFields": [*big["matchFields"], *no]},
    ]
    (rather,) = found["preferredDuringSchedulingIgnoredDuringExecution"]
    assert rather["preference"]["matchFields"][0]["values"] == ["n3"]
    plain: dict[str, Any] = {}
    shun_nodes(plain, [], [])
    assert plain == {}
    shun_nodes(plain, [], ["n1"])
    terms = plain["affinity"]["nodeAffinity"][kind]["nodeSelectorTerms"]
    assert terms == [{"matchFields": no[:1]}]


def test_another_nodes_word_is_asked_for_after_an_attempt_that_did_not_count() -> None:
    bad, plain = FailureClass.BAD_HOST, FailureClass.RETRYABLE
    hosts = Hosts(ran_on=frozenset({"n1", "n2"}))
    assert nodes_ruled_out(_attempts(bad, node="n1"), hosts, 0.0) == ["n1"]
    assert nodes_ruled_out(_attempts(bad, plain, node="n1"), hosts, 0.0) == []
    assert nodes_ruled_out([], hosts, 0.0) == []
