"""What the tables of a BEC installation take, and what is told of the rest."""

import time
from hashlib import md5

import pytest

from bec_operator.act.connections.results.bec.tables import BecTables
from bec_ops.contract.volume import Volume
from tests.support.bec_results import (
    ETAG,
    LATER_ETAG,
    VOLUME,
    Installation,
    as_operator,
    attempt,
    job_told,
    made,
    result,
    running,
)
from tests.support.postgres import Postgres

MANY, AT_ONCE = 5000, 1000
MOST = 60  # µs of our CPU a result where others use the machine, too; alone it takes 20


def test_tables_are_those_of_an_installation(postgres: Postgres) -> None:
    def said() -> str:
        with as_operator(postgres) as session:
            return BecTables().check(session.cursor())

    assert said() == ""
    for break_, mend, part in (
        ("ALTER TABLE volumes RENAME TO v", "ALTER TABLE v RENAME TO volumes", "no table volumes"),
        (
            "ALTER TABLE task_executions RENAME nb_errors TO n",
            "ALTER TABLE task_executions RENAME n TO nb_errors",
            "the table task_executions has no column nb_errors",
        ),
        (
            "ALTER TYPE task_status RENAME VALUE 'done' TO 'd'",
            "ALTER TYPE task_status RENAME VALUE 'd' TO 'done'",
            "task_status has no done",
        ),
        (
            "ALTER TABLE jobs DROP CONSTRAINT jobs_name_key",
            "ALTER TABLE jobs ADD CONSTRAINT jobs_name_key UNIQUE (name)",
            "jobs has no unique index on name",
        ),
        (
            "REVOKE UPDATE ON workers FROM operator",
            "GRANT UPDATE ON workers TO operator",
            "may not UPDATE in the table workers; have the administrator of the database run GRANT",
        ),
        (
            "REVOKE ALL ON SEQUENCE volumes_id_seq FROM operator",
            "GRANT USAGE ON SEQUENCE volumes_id_seq TO operator",
            "may not take numbers of public.volumes_id_seq",
        ),
    ):
        postgres.run(break_)
        try:
            assert part in said()
        finally:
            postgres.run(mend)
    assert said() == ""


def test_what_the_columns_do_not_take_is_told(bec: Installation) -> None:
    """Trap 4. Each holds up no other."""
    told = bec.write(
        result(Volume("W" * 33, "I1", "abcdef"), made=made()),
        result(Volume("W1", "I\x00", "abcdef"), made=made()),
        result(made=made(40_000, 40_001)),
        result(Volume("W" * 32, "ocr_benchmark:W" + 17 * "9"), made=made(5)),
    )
    columns = "a BEC installation takes numbers from 0 to 32,767"
    assert [said.partition(": ")[2].partition(";")[0] for said in told] == [
        "its w_id has 33 characters, and volumes.bdrc_w_id takes 32",
        "its i_id has a character that PostgreSQL takes in no text",
        f"total_images of {columns}, and its marker says 40000",
        f"nb_errors of {columns}, and its marker says 40001",
    ]
    assert all(said.isprintable() for said in told)
    row = next(row for row in bec.tools.tasks("ocrv1") if row.volume == "W22084/I0886")
    assert (row.status, row.images, row.errors, row.took) == ("done", None, None, 40_000)
    assert len(bec.tools.tasks("ocrv1")) == 2
    bec.job = job_told("j" * 51)
    [said] = bec.write(result(made=made()))
    assert "51 characters, and jobs.name takes 50" in said


@pytest.mark.parametrize("duration", [1e300, 1e-300, float("inf"), float("nan"), -1.0])
def test_no_duration_breaks_a_batch(bec: Installation, duration: float) -> None:
    bec.write(result(made=made(duration_ms=duration)))
    [row] = bec.tools.tasks("ocrv1")
    assert row.took == (0 if duration == 1e-300 else 50_000)


@pytest.mark.parametrize(
    ("volume", "etag", "expected"),
    [
        (VOLUME, None, "0c1d2e".ljust(32, "0")),
        (VOLUME, f'"{ETAG}-3"', ETAG),
        (VOLUME, f'"{"é" * 32}"', "0c1d2e".ljust(32, "0")),  # of a store with ETags of its own
        (VOLUME, LATER_ETAG, "0c1d2e".ljust(32, "0")),  # not of this version
        (Volume("W1", "I1", ETAG.upper()), None, ETAG),
        (Volume("W1", "I1"), None, "bdrc|W1|I1|"),
        (Volume("W1", "I1"), ETAG, ETAG),
        (Volume("W1", "I1", "v2"), ETAG, "bdrc|W1|I1|v2"),
        (Volume("ocr_benchmark:W1", "I1", "abcdef"), ETAG, "ocr_benchmark|W1|I1|abcdef"),
    ],
)
def test_etags(bec: Installation, volume: Volume, etag: str | None, expected: str) -> None:
    """Trap 5: what is no MD5 raises nothing."""
    bec.show(running(volume, now=attempt(1)))
    bec.write(result(volume, made=made(etag=etag)))
    [row] = bec.tools.tasks("ocrv1", "done")
    if "|" in expected:
        expected = md5(expected.encode(), usedforsecurity=False).hexdigest()
    assert row.etag == expected == bec.tools.volume(*volume[:2]).etag
    bec.show(running(volume, now=attempt(1, 900, pod="again")))
    assert [row.etag for row in bec.tools.tasks("ocrv1", "running")] == [expected]


def test_many_results_cost_little(bec: Installation) -> None:
    """The best of five: somebody else may have the machine."""
    results = [
        result(Volume(f"W{n // 10}", f"I{n}", f"{n:06x}"), made=made(etag=f"{n:06x}{'0' * 26}"))
        for n in range(MANY)
    ]
    taken = []
    for first in range(0, MANY, AT_ONCE):
        part, begun = results[first : first + AT_ONCE], time.process_time()
        with bec.session.transaction(), bec.session.cursor() as cursor:
            assert not BecTables().write(cursor, bec.job, part)
        taken.append(time.process_time() - begun)
    assert bec.tools.stats("ocrv1")["done"].tasks == MANY
    assert min(taken) / AT_ONCE * 1e6 < MOST
