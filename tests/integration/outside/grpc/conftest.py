"""An operator that pushes tasks to workers over gRPC, on this machine only."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.integration.outside.conftest import Gate
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import certificate, enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights

VISITORS = "visitors"


@pytest.fixture(scope="module")
def face() -> str:
    """Where the face listens."""
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def secure_face() -> str:
    """Where it listens over TLS."""
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster,
    make_operator: MakeOperator,
    home: Path,
    face: str,
    secure_face: str,
    kube: Kube,
) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    own = home_of(home)
    certificate(home)
    common = {"face": "grpc", "enrolment": VISITORS, "workers": ["127.0.0.0/8"]}
    faces = [
        {**common, "port": int(face.rpartition(":")[2]), "tls": False},
        {**common, "port": int(secure_face.rpartition(":")[2])},
    ]
    enrolment(kube, own, VISITORS, namespaces="*")
    settings = {"faces": json.dumps(faces), "own_namespace": own, "outside_tls": home}
    with make_operator(rights, **settings) as operator:
        yield operator


@pytest.fixture(scope="module")
def gate(operator: Operator, kube: Kube, home: Path, face: str) -> Gate:
    return Gate(operator, kube, home_of(home), face, home / "ca.crt")
