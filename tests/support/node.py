"""The node of played pods: an object, and a lease that says that its kubelet lives."""

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from bec_operator.act.ground.api_server import core
from tests.support.kube import Body, Kube

RENEW_EVERY = 10.0  # seconds, as a kubelet does
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class PlayedNode:
    """As a context: the node is there and Ready."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.name = name
        self._kube = kube
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"node {name}", daemon=True)

    def __enter__(self) -> Self:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}}
        self._kube.create(core(None, "nodes"), node)
        self.say_ready("True", datetime.now(UTC))
        self._kube.create(_LEASES, self._lease())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._kube.delete(f"{_LEASES}/{self.name}")
        self.remove()

    def say_ready(self, status: str, since: datetime) -> None:
        """Say whether it is Ready: True, False or Unknown."""
        ready = {
            "type": "Ready",
            "status": status,
            "reason": "Played",
            "message": "",
            "lastHeartbeatTime": _seconds(datetime.now(UTC)),
            "lastTransitionTime": _seconds(since),
        }
        path = core(None, "nodes", self.name, "status")
        self._kube.patch(path, {"status": {"conditions": [ready]}})

    def remove(self) -> None:
        """Take it out of the cluster."""
        self._kube.delete(core(None, "nodes", self.name))

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            self._kube.patch(f"{_LEASES}/{self.name}", {"spec": {"renewTime": _now()}})

    def _lease(self) -> Body:
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": _now()}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": spec,
        }


def _now() -> str:
    """Return the time as a MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
