"""An operator that speaks to Flamenco Workers, with an S3 that can be broken."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import S3, Cluster
from tests.integration.conftest import MakeOperator
from tests.integration.outside.conftest import Gate
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.s3_faults import S3Faults

VISITORS = "visitors"
"""The enrolment of workers that sign nothing, if somebody makes it."""


@pytest.fixture(scope="module")
def flamenco_url() -> str:
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def faults(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as faults:
        yield faults


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, make_operator: MakeOperator, home: Path, flamenco_url: str, faults: S3Faults
) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    port = flamenco_url.rpartition(":")[2]
    face = {"face": "flamenco", "port": int(port), "tls": False, "enrolment": VISITORS}
    own = home_of(home)
    with make_operator(rights, faults.s3, faces=json.dumps([face]), own_namespace=own) as operator:
        yield operator


@pytest.fixture(scope="module")
def gate(operator: Operator, kube: Kube, home: Path, flamenco_url: str) -> Gate:
    return Gate(operator, kube, home_of(home), flamenco_url, home)
