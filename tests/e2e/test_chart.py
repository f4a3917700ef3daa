"""The chart where the strictest pod security is enforced."""

from examples.deploy import OPERATOR_NAMESPACE, add_namespace
from tests.cluster import Cluster
from tests.cluster.images import CHECKOUT, image_ref

CHART = str(CHECKOUT / "helm" / "bec-operator")


def test_it_passes_a_dry_run_where_the_restricted_level_is_enforced(cluster: Cluster) -> None:
    add_namespace(cluster, "strict")
    repository, tag = image_ref("operator").rsplit(":", 1)
    rendered = cluster.helm(
        "template", "dry", CHART, "--namespace=strict",
        f"--set-string=image.repository={repository},image.tag={tag}",
    )  # fmt: skip
    applied = cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-n", "strict",
        "-f", "-", input=rendered,
    )  # fmt: skip
    assert "deployment.apps" in applied
    assert "serverside-applied" in applied


def test_the_operator_runs_as_nobody_with_a_read_only_root(cluster: Cluster) -> None:
    asked = "{.items[0].spec.containers[0].securityContext}"
    context = cluster.kubectl("-n", OPERATOR_NAMESPACE, "get", "pods", "-o", f"jsonpath={asked}")
    assert '"readOnlyRootFilesystem":true' in context
    level = "{.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
    enforced = cluster.kubectl("get", "namespace", OPERATOR_NAMESPACE, "-o", f"jsonpath={level}")
    assert enforced == "restricted"
