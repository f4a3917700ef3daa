"""An operator that pushes tasks to workers over gRPC, on this machine only."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights

VISITORS = "visitors"


@pytest.fixture(scope="module")
def face() -> str:
    """Where the face listens."""
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, make_operator: MakeOperator, home: Path, face: str, kube: Kube
) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    own = home_of(home)
    settings = {
        "face": "grpc",
        "port": int(face.rpartition(":")[2]),
        "tls": False,
        "enrolment": VISITORS,
        "workers": ["127.0.0.0/8"],
    }
    enrolment(kube, own, VISITORS, namespaces="*")
    with make_operator(rights, faces=json.dumps([settings]), own_namespace=own) as operator:
        yield operator
