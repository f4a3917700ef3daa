"""The rights that the chart gives to the operator: tests run it with these and no others."""

import base64
from collections.abc import Collection
from pathlib import Path

import yaml
from kubernetes.client import Configuration

from tests.cluster import Cluster
from tests.support.kube import configuration_of

_CHART = Path(__file__).parents[2] / "helm" / "bec-operator"
_OUTSIDE = "templates/outside.yaml"
_SHOWN = ("templates/serviceaccount.yaml", "templates/rbac.yaml")


def operator_rights(
    cluster: Cluster, folder: Path, namespaces: Collection[str] = (), *, outside: bool = False
) -> Path:
    """Make an operator's service account and roles, and return the kubeconfig of that account.

    `outside`: workers may come in from elsewhere. Without `namespaces` the rights are cluster-wide.
    The account is in a namespace of its own, named after `folder`, where the kubeconfig is put.
    """
    home = home_of(folder)
    templates = (*_SHOWN, _OUTSIDE) if outside else _SHOWN
    shown = [part for template in templates for part in ("--show-only", template)]
    values = ["--set", "image.repository=none"]
    if outside:
        values += ["--set", "outside.enabled=true,outside.tlsSecret=none"]
    if namespaces:
        values += ["--set", f"watchNamespaces={{{','.join(namespaces)}}}"]
    # The release's name is part of the names of cluster-wide roles.
    objects = cluster.helm("template", home, str(_CHART), "--namespace", home, *shown, *values)
    cluster.kubectl("create", "namespace", home)
    cluster.kubectl("apply", "-f", "-", input=objects)
    (account,) = [o for o in yaml.safe_load_all(objects) if o and o["kind"] == "ServiceAccount"]
    name = account["metadata"]["name"]
    token = cluster.kubectl("create", "token", name, "--namespace", home, "--duration=24h").strip()
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(_kubeconfig(configuration_of(cluster.kubeconfig), token)))
    return path


def home_of(folder: Path) -> str:
    """Return the namespace of the operator whose kubeconfig is in a folder."""
    return f"operator-{folder.name.replace('_', '-')}"


def _kubeconfig(admin: Configuration, token: str) -> dict[str, object]:
    authority = base64.b64encode(Path(str(admin.ssl_ca_cert)).read_bytes()).decode()
    server = {"server": str(admin.host), "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "operator",
        "clusters": [{"name": "local", "cluster": server}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "operator", "context": {"cluster": "local", "user": "operator"}}],
    }
