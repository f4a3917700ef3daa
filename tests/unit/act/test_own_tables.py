"""Tables of our own: their migrations, and values as PostgreSQL takes them."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from bec_operator.act.connections.results import own
from bec_operator.act.connections.results.own.checking import trouble_with_version
from bec_operator.act.connections.results.own.fields import (
    as_json,
    document,
    instant,
    moment,
    signed,
    text,
    whole,
)
from bec_operator.act.connections.results.own.head import HEAD, KNOWN
from bec_operator.act.connections.results.own.migrating import as_sql
from bec_ops.contract.returned import as_text

FOLDER = Path(own.__file__).parent / "migrations"
DOCS = Path(__file__).parents[3] / "docs" / "results.md"


def test_the_migrations_are_those_that_are_known() -> None:
    script = ScriptDirectory(str(FOLDER))
    assert script.get_heads() == [HEAD]
    assert [each.revision for each in script.walk_revisions()] == [*reversed(KNOWN)]


def test_docs_name_every_table_view_and_column() -> None:
    sql, docs = as_sql(), DOCS.read_text()
    made = re.findall(r"CREATE (?:TABLE|VIEW) bec_operator\.(\w+)", sql)
    columns = re.findall(r"COMMENT ON COLUMN bec_operator\.\w+\.(\w+)", sql)
    assert len(made) == 13
    assert len(columns) > 70
    assert [name for name in (*made, *columns) if f"`{name}`" not in docs] == []


def test_an_operator_that_writes_to_no_tables_imports_nothing_for_it() -> None:
    looked = (
        "import sys, bec_operator.app, bec_operator.act.connections.results.writing, "
        "bec_operator.act.connections.results.own.tables\n"
        "print([each for each in ('alembic', 'psycopg', 'sqlalchemy') if each in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([HEAD], ""),
        ([], "are not there; run `bec-operator migrate`"),
        (["0001"], "those of migration 0001, older than this operator's"),
        (["0002"], "those of migration 0002, older than"),
        (["9999"], "which this operator does not know"),
        (["0001", "0002"], "which this operator does not know"),
    ],
)
def test_versions(found: list[str], said: str) -> None:
    told = trouble_with_version(found)
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("2026-05-01T08:00:00Z", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01T10:00:00.5+02:00", datetime(2026, 5, 1, 8, 0, 0, 500_000, UTC)),
        ("2026-05-01T08:00:00", None),  # of no zone
        ("0001-01-01T00:00:00+14:00", None),  # before all years
        ("infinity", None),
        ("", None),
        (None, None),
    ],
)
def test_moments(value: str | None, meant: datetime | None) -> None:
    assert moment(value) == meant


@pytest.mark.parametrize("seconds", [None, -1.0, float("nan"), float("inf"), 1e12])
def test_instants_that_are_none(seconds: float | None) -> None:
    assert instant(seconds) is None


def test_numbers() -> None:
    assert [whole(n) for n in (0, 2**63 - 1, 2**63, -1, None)] == [0, 2**63 - 1, None, None, None]
    assert [signed(n) for n in (-9, 2**63, -(2**63), None)] == [-9, None, None, None]


def test_texts() -> None:
    assert text("a" * 4000) == "a" * 4000
    assert text("a" * 4001) == "a" * 3999 + "…"


@pytest.mark.parametrize("said", ["good", "\0", "\ud800\udc00", "C:\\u0000", "\U0001f4d6 ཀ", '"'])
def test_json_that_postgresql_reads(said: str) -> None:
    told = as_json([{"message": said, "number": 1, "none": None}])
    (row,) = json.loads(told)
    assert row == {
        "message": re.sub("[\0\ud800-\udfff]", "\ufffd", said),
        "number": 1,
        "none": None,
    }


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ({"pages": 3, "ཀ": [None]}, {"pages": 3, "ཀ": [None]}),
        ({"a\0": "\0\0x\\\0"}, {"a\ufffd": "\ufffd\ufffdx\\\ufffd"}),
        ({"path": "C:\\u0000", "more": "\\\\u0000"}, {"path": "C:\\u0000", "more": "\\\\u0000"}),
    ],
)
def test_what_was_returned_as_postgresql_reads_it(found: object, meant: object) -> None:
    (row,) = json.loads(as_json([{"result": document(as_text(found)), "message": "\0"}]))
    assert row == {"result": meant, "message": "\ufffd"}
    assert document(None) is None
