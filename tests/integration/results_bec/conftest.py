"""A PostgreSQL with the tables of a BEC installation, emptied for each test."""

from collections.abc import Iterator

import pytest

from tests.support.bec_results import Installation, empty_installation, running_installation
from tests.support.postgres import Postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_installation() as postgres:
        yield postgres


@pytest.fixture
def bec(postgres: Postgres) -> Iterator[Installation]:
    with empty_installation(postgres) as bec:
        yield bec
