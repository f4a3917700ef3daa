"""Where the pods of a volume with a site may go."""

from typing import Any

import pytest

from bec_operator.act.kube.node_affinity import PREFERRED, REQUIRED, go_to_site
from bec_operator.act.kube.pod_spec import AttemptOf, task_pod
from bec_operator.act.kube.retry_changes import shun_nodes
from bec_operator.api.job import JobSpec
from bec_operator.api.sites import Sites
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_operator.settings import Settings
from bec_ops.contract.volume import Volume

TAINT = {"key": "site", "operator": "Equal", "value": "cern", "effect": "NoSchedule"}
SITES = [
    {"name": "cern", "nodeSelector": {"zone": "cern", "gpu": "yes"}, "tolerations": [TAINT]},
    {"name": "lyon", "nodeSelector": {"zone": "lyon"}},
    {"name": "desk", "outside": True},
]
AT_CERN = [
    {"key": "gpu", "operator": "In", "values": ["yes"]},
    {"key": "zone", "operator": "In", "values": ["cern"]},
]


def sites(policy: str) -> Sites:
    return Sites.model_validate({"policy": policy, "of": SITES})


def test_nodes_of_the_site_are_preferred() -> None:
    spec: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}
    go_to_site(spec, sites("Prefer"), "cern")
    term = {"weight": 50, "preference": {"matchExpressions": AT_CERN}}
    assert spec["affinity"] == {"nodeAffinity": {PREFERRED: [term]}}
    assert spec["tolerations"] == [{"operator": "Exists"}, TAINT]


def test_nodes_of_the_site_are_required_beside_what_the_template_asks_for() -> None:
    mine = {"key": "arch", "operator": "In", "values": ["arm64"]}
    given = [{"matchExpressions": [mine]}, {}, {"matchFields": [mine]}]
    wish = [{"weight": 1, "preference": {"matchExpressions": [mine]}}]
    nodes = {REQUIRED: {"nodeSelectorTerms": given}, PREFERRED: wish}
    spec: dict[str, Any] = {"affinity": {"nodeAffinity": nodes, "podAffinity": {}}}

    go_to_site(spec, sites("Require"), "cern")
    shun_nodes(spec, ["bad"], ["worse"])

    bad, worse = (
        {"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in ("bad", "worse")
    )
    found = spec["affinity"]["nodeAffinity"]
    assert found[REQUIRED]["nodeSelectorTerms"] == [
        {"matchExpressions": [mine, *AT_CERN], "matchFields": [worse]},
        {"matchFields": [mine, worse], "matchExpressions": AT_CERN},
    ]
    assert found[PREFERRED] == [*wish, {"weight": 100, "preference": {"matchFields": [bad]}}]
    assert spec["affinity"]["podAffinity"] == {}


def test_a_template_without_affinity_gets_what_is_required_alone() -> None:
    for template in ({}, {"affinity": None}, {"affinity": {"nodeAffinity": None}}):
        spec: dict[str, Any] = {**template}
        go_to_site(spec, sites("Require"), "lyon")
        at_lyon = {"key": "zone", "operator": "In", "values": ["lyon"]}
        terms = [{"matchExpressions": [at_lyon]}]
        assert spec == {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}


@pytest.mark.parametrize("name", ["", "desk", "nikhef"])
def test_any_node_will_do_for_others(name: str) -> None:
    for policy in ("Prefer", "Require"):
        spec: dict[str, Any] = {}
        go_to_site(spec, sites(policy), name)
        go_to_site(spec, None, name)
        assert spec == {}


def test_the_pod_of_a_volume_goes_to_its_site() -> None:
    spec = JobSpec.model_validate(
        {
            "volumes": {"items": [{"wId": "W1", "iId": "I1"}]},
            "worker": {"template": {"spec": {"containers": [{"name": "worker", "image": "x"}]}}},
            "output": {"bucket": "b"},
            "outside": {"allowed": True},
            "sites": {"policy": "Require", "of": SITES},
        }
    )
    memory = Memory(JobSeen("ns", "ocr", "job-uid", 1, 1, "2026", spec))
    settings = Settings(AWS_ENDPOINT_URL_S3="http://s3:8333", AWS_REGION="us-east-1")  # type: ignore[call-arg]
    plain = Volume("W1", "I1")

    def pod_of(volume: Volume) -> Any:
        return task_pod(memory, AttemptOf(volume, "s3://b/W1-I1/", "t", "t-uid", 1), settings)

    found = pod_of(SitedVolume.at(plain, "cern"))["spec"]
    terms = [{"matchExpressions": AT_CERN}]
    assert found["affinity"]["nodeAffinity"] == {REQUIRED: {"nodeSelectorTerms": terms}}
    assert found["tolerations"] == [TAINT]
    assert "affinity" not in pod_of(plain)["spec"]
    assert pod_of(SitedVolume.at(plain, "desk")) == pod_of(plain)
