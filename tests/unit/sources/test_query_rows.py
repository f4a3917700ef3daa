"""Rows of a query as volumes, and as versions: what is taken, and every fault by its row."""

import datetime
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import pytest

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.query_rows import Row, versions_of_rows, volumes_of_rows
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.volume import Volume

NAME = "spec.volumes.sql"
IDS = ["w_id", "i_id"]
VERSIONED = [*IDS, "i_version"]


def volumes(columns: list[str], *rows: Row, most: int = 10) -> VolumeList:
    return volumes_of_rows(columns, iter(rows), NAME, most)


def versions(*rows: Row, most: int = 10) -> dict[tuple[str, str], str]:
    return versions_of_rows(VERSIONED, iter(rows), NAME, most)


@pytest.mark.parametrize(
    ("columns", "row", "expected"),
    [
        (IDS, ("W1", "I1"), Volume("W1", "I1")),
        (["I_ID", "w_Id"], ("I1", "W1"), Volume("W1", "I1")),
        (VERSIONED, ("W1", "I1", "a"), Volume("W1", "I1", "a")),
        (VERSIONED, ("W1", "I1", None), Volume("W1", "I1")),
        (VERSIONED, ("W1", "I1", ""), Volume("W1", "I1")),
        (["source", *IDS], ("bnf", "W1", "I1"), Volume("bnf:W1", "I1")),
        (["source", *IDS], (None, "W1", "I1"), Volume("W1", "I1")),
        (["SOURCE", *IDS], ("", "W1", "I1"), Volume("W1", "I1")),
        (VERSIONED, (4711, 2**63, 0), Volume("4711", "9223372036854775808", "0")),
        (IDS, ("W 1", "I\u3000ཀ"), Volume("W 1", "I\u3000ཀ")),
    ],
)
def test_what_a_row_can_be(columns: list[str], row: Row, expected: Volume) -> None:
    assert volumes(columns, row) == [expected]


def test_the_order_is_that_of_the_rows_and_there_may_be_none() -> None:
    assert volumes(IDS, ("W2", "I1"), ("W1", "I1")) == [Volume("W2", "I1"), Volume("W1", "I1")]
    assert volumes(IDS) == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["w_id"], "the query has no column i_id; write AS i_id behind the column that has it"),
        ([], "the query has no column w_id"),
        ([*IDS, "W_ID"], "the query has the column w_id twice; give it once"),
        ([*IDS, "pages"], "the column 'pages', which is unknown here; leave it out: its columns"),
        ([*IDS, "version"], "write AS i_version behind it if that is meant, or leave it out"),
        (["work_id", "i_id"], "write AS w_id behind it if that is meant"),
        ([*IDS, "?column?"], "the column '?column?'"),
        ([*IDS, "x\n" * 500], r"'x\nx\n"),
    ],
)
def test_columns_that_are_not_understood(columns: list[str], said: str) -> None:
    with pytest.raises(ListError) as caught:
        volumes(columns, ("W1", "I1", "x"))
    assert str(caught.value).startswith(f"{NAME}: ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((None, "I2", ""), "w_id is NULL; leave such rows out: WHERE w_id IS NOT NULL"),
        (("W2", None, ""), "i_id is NULL"),
        ((1.5, "I2", ""), "w_id is no text, but of the type float; write CAST(… AS text) AS w_id"),
        ((Decimal(2), "I2", ""), "of the type Decimal"),
        ((True, "I2", ""), "of the type bool"),
        (("W2", b"I2", ""), "i_id is no text, but of the type bytes"),
        (("W2", "I2", datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)), "i_version is no"),
        (("W2", UUID(int=1), ""), "of the type UUID"),
        (("W2", ["I2"], ""), "of the type list"),
        (("", "I2", ""), "w_id: an id must not be empty"),
        (("W2", "I2\n", ""), "i_id: the id 'I2\\n' holds U+000A"),
        (("W2", "I2  ", ""), "i_id: the id begins or ends with a blank (U+0020); take it out"),
        (("W\u200b2", "I2", ""), "w_id: the id holds the invisible character U+200B"),
        (("W2", "x" * 129, ""), "has 129 characters; at most 128"),
    ],
)
def test_rows_that_are_no_volume(row: Row, said: str) -> None:
    with pytest.raises(ListError) as caught:
        volumes(VERSIONED, ("W1", "I1", "a"), row)
    assert str(caught.value).startswith(f"{NAME}, row 2: ")
    assert said in str(caught.value)
    with pytest.raises(ListError, match="row 2: "):
        versions(("W1", "I1", "a"), row)


def test_a_volume_that_comes_twice_is_told_by_both_rows() -> None:
    rows: list[Row] = [("W1", "I1"), ("W2", "I2"), ("W3", "I3"), ("W2", "I2")]
    with pytest.raises(
        ListError, match=r"row 4: the volume W2/I2 stands in row 2 already.*DISTINCT"
    ):
        volumes(IDS, *rows)
    with pytest.raises(ListError, match="row 2: the volume 7/I1 stands in row 1 already"):
        volumes(IDS, (7, "I1"), ("7", "I1"))


def test_more_volumes_than_there_may_be() -> None:
    rows: list[Row] = [(number, "I1") for number in range(4)]
    assert len(volumes(IDS, *rows, most=4)) == 4
    with pytest.raises(ListError, match=r"row 4: more than 3 volumes; let the query give fewer"):
        volumes(IDS, *rows, most=3)


def test_no_more_rows_are_asked_for_than_there_may_be() -> None:
    rows = iter([(number, "I1") for number in range(100)])
    with pytest.raises(ListError):
        volumes_of_rows(IDS, rows, NAME, 3)
    assert len(list(rows)) == 96


def test_versions_by_their_volumes() -> None:
    rows: list[Row] = [("W1", "I1", "a"), ("W2", 2, None), ("W3", "I3", ""), ("W1", "I1", "a")]
    assert versions(*rows) == {("W1", "I1"): "a"}
    assert versions_of_rows(["I_VERSION", "i_id", "W_ID"], iter([(7, "I1", "W1")]), NAME) == {
        ("W1", "I1"): "7"
    }


def test_a_volume_with_two_versions_is_told_by_both_rows() -> None:
    rows: list[Row] = [("W1", "I1", "a"), ("W2", "I2", "b"), ("W1", "I1", "b")]
    with pytest.raises(ListError, match="row 3: W1/I1 has the version b, and in row 1 it has a"):
        versions(*rows)


@pytest.mark.parametrize("columns", [IDS, [*VERSIONED, "source"]])
def test_columns_that_a_query_of_versions_has_not(columns: list[str]) -> None:
    with pytest.raises(ListError, match=r"i_version|source"):
        versions_of_rows(columns, iter([]), NAME)


def test_versions_of_more_rows_than_there_may_be() -> None:
    rows: list[Row] = [("W1", "I1", "a")] * 4
    assert versions(*rows, most=4)
    with pytest.raises(ListError, match="more than 3 rows; let the query give those of :volumes"):
        versions(*rows, most=3)


def test_many_rows_take_what_their_list_takes() -> None:
    total = 100_000

    def rows() -> Iterator[Row]:
        for number in range(total):
            yield f"W{number:07}", f"I{number:07}"

    tracemalloc.start()
    try:
        kept = volumes_of_rows(IDS, rows(), NAME, total)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == total
    assert peak < 80 * total  # bytes; a volume as an object takes some 360
