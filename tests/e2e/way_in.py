"""The way in from elsewhere, as the chart opens it: its certificate, and who comes in by it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bec_operator.act.ground.api_server import core
from examples.deploy import OPERATOR_NAMESPACE, install_operator
from tests.cluster import Cluster
from tests.e2e.relay import Relay
from tests.support.kube import Kube
from tests.support.outsiders import certificate

SECRET = "bec-outside"  # noqa: S105 - the name of one
DATA_DISPATCHER = 8444
VALUES = (
    "--set=outside.enabled=true",
    f"--set=outside.tlsSecret={SECRET}",
    "--set-json=outside.faces="
    + json.dumps([{"face": "data-dispatcher", "port": DATA_DISPATCHER}]),
)
"""What the chart is told of it."""


def open_doors(cluster: Cluster, folder: Path, *more: str) -> Path:
    """Have the chart open the way in, with a certificate; return the CA's file.

    `more` are further arguments of `helm upgrade`.
    """
    ca = certificate(folder)
    files = (f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")
    cluster.kubectl("-n", OPERATOR_NAMESPACE, "create", "secret", "tls", SECRET, *files)
    install_operator(cluster, *more, *VALUES)
    return ca


@dataclass(frozen=True)
class WayIn:
    """Where the operator is reached by workers from elsewhere."""

    cluster: Cluster
    ca: Path
    outside: Relay
    data_dispatcher: Relay

    @property
    def url(self) -> str:
        """Of our own workers."""
        return f"https://127.0.0.1:{self.outside.port}"

    @property
    def data_dispatcher_url(self) -> str:
        """Of clients of Data Dispatcher."""
        return f"https://127.0.0.1:{self.data_dispatcher.port}"

    def enrol(self, name: str, namespace: str) -> str:
        """Make an enrolment, as an administrator does; return its token."""
        where = ("-n", OPERATOR_NAMESPACE, "exec", "deploy/bec-operator", "--")
        command = ("bec-operator", "enrol", name, "--jobs-of", namespace, "--expires", "1d")
        return self.cluster.kubectl(*where, *command).strip()


@contextmanager
def way_in(cluster: Cluster, ca: Path) -> Iterator[WayIn]:
    """Lead from this machine to the operator's pod, as a load balancer would."""
    pods = Kube(cluster.kubeconfig).items(core(OPERATOR_NAMESPACE, "pods"))
    stay = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    (address,) = (pod["status"]["podIP"] for pod in stay)
    with Relay(address, 8443) as outside, Relay(address, DATA_DISPATCHER) as ddisp:
        yield WayIn(cluster, ca, outside, ddisp)
