"""A PostgreSQL with tables of our own, and a role that may write them as the docs say."""

from collections.abc import Callable, Iterator
from typing import LiteralString

import pytest

from bec_operator.act.ground.connections import Connection
from tests.support.own_tables import emptied, prepared
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def role(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Connection:
    return prepared(postgres, tmp_path_factory.mktemp("connections"))


@pytest.fixture
def writer(role: Connection, postgres: Postgres) -> Connection:
    emptied(postgres)
    return role


@pytest.fixture
def odd(postgres: Postgres) -> Iterator[Callable[[LiteralString, LiteralString], None]]:
    """Have a trigger of somebody else's on the results: WHEN, and what it does."""

    def make(when: LiteralString, what: LiteralString) -> None:
        with postgres.admin() as admin:
            admin.execute(
                "CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$BEGIN {what}; RETURN NEW; END$$"
            )
            admin.execute(
                "CREATE OR REPLACE TRIGGER odd BEFORE INSERT ON bec_operator.results FOR EACH ROW "
                f"WHEN ({when}) EXECUTE FUNCTION odd()"
            )

    yield make
    postgres.run("DROP FUNCTION IF EXISTS odd CASCADE")
