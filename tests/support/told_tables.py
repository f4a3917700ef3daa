"""What a database has got of the Jobs of one namespace."""

from typing import Any, LiteralString

import psycopg

from tests.support.postgres import Postgres
from tests.support.space import Space


class Tables:
    """What stands in the tables about the Jobs of one namespace."""

    def __init__(self, postgres: Postgres, space: Space) -> None:
        self._postgres = postgres
        self._namespace = space.namespace

    def own(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Ask our own tables; `mine` is a table of the UIDs of the namespace's Jobs."""
        mine: LiteralString = (
            "WITH mine AS (SELECT job_uid FROM bec_operator.jobs WHERE namespace = %s) "
        )
        with self._postgres.admin() as admin:
            admin.execute("SET search_path = bec_operator")
            return admin.execute(mine + query, (self._namespace,)).fetchall()

    def bec(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Ask the tables of a BEC installation; its job is called as the namespace is."""
        with psycopg.connect(self._postgres.url(database="bec")) as bec:
            return bec.execute(query, (self._namespace,)).fetchall()
