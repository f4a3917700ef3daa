"""Nodes that are not there: KWOK plays their kubelet, by stages of our own."""

import json
from pathlib import Path

from .binaries import binary
from .process import Spec
from .site import Port, Site

_STAGES = Path(__file__).with_name("kwok-stages.yaml")
_SELECTOR = "kwok.x-k8s.io/node=fake"


def server(site: Site, kubeconfig: Path) -> Spec:
    """Run KWOK for the nodes that are marked as fake, and no others."""
    arguments = (
        f"--kubeconfig={kubeconfig}",
        f"--config={_STAGES}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={_SELECTOR}",
        "--cidr=10.197.0.0/16",  # of pods; nothing is behind these addresses
        "--node-ip=10.197.0.1",
        "--node-lease-duration-seconds=40",
        "--v=WARN",  # else a line a pod
        f"--server-address={site.ip}:{site.port(Port.KWOK)}",
    )
    return Spec(
        name="kwok",
        argv=(str(binary("kwok")), *arguments),
        ready=(site.url(Port.KWOK, "/healthz"),),
    )


def nodes(first: int, count: int) -> str:
    """Write `count` Node objects, numbered from `first`, each with room for 1,000 pods."""
    room = {"cpu": "1000", "memory": "4000Gi", "ephemeral-storage": "4000Gi", "pods": "1000"}
    key, _, value = _SELECTOR.partition("=")
    items = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"fake-{number:04}",
                "annotations": {key: value},
                "labels": {"kubernetes.io/hostname": f"fake-{number:04}", "type": "kwok"},
            },
            "status": {"capacity": room, "allocatable": room},
        }
        for number in range(first, first + count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
