"""An operator that workers from elsewhere may come to, and its own namespace."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import Outsider, certificate, enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.space import Space


@dataclass(frozen=True)
class Gate:
    """The way in: where it is, and how a worker comes in."""

    operator: Operator
    kube: Kube
    home: str
    url: str
    ca: Path

    def token(self, space: Space, **terms: str) -> str:
        """Make an enrolment for the Jobs of a space, and return its token."""
        terms = {"namespaces": space.namespace, **terms}
        return enrolment(self.kube, self.home, f"enrolment-{uuid4().hex[:8]}", **terms)

    def worker(self, token: str, name: str = "desk", seat: str = "") -> Outsider:
        """Return a worker that has come in and registered."""
        worker = Outsider(self.url, self.ca, name, seat)
        assert worker.enrol(token).status == 200
        assert worker.register().status == 200
        return worker


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(scope="module")
def operator(cluster: Cluster, make_operator: MakeOperator, home: Path) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    (port,) = free_ports(1)
    certificate(home)
    settings = {"outside_port": port, "own_namespace": home_of(home), "outside_tls": home}
    with make_operator(rights, **settings) as operator:
        yield operator


@pytest.fixture(scope="module")
def gate(operator: Operator, kube: Kube, home: Path) -> Gate:
    return Gate(operator, kube, home_of(home), operator.outside_url, home / "ca.crt")
