"""The table of what is remembered, in docs/design.md, beside what the code remembers."""

from dataclasses import fields

from bec_operator.decide.attempts.record import TaskRecord
from bec_operator.decide.memory.books import Books
from bec_operator.decide.memory.memory import Memory
from tests.unit.test_docs import DOCS

HEADING = "\n### What is remembered\n"


def _told() -> list[list[str]]:
    """Return the cells of the table, a list for each row."""
    _, _, rest = (DOCS / "design.md").read_text(encoding="utf-8").partition(HEADING)
    lines = [line for line in rest.split("\n### ")[0].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_field_is_in_the_table_and_nothing_else() -> None:
    parts = {"": Memory, "books.": Books, "record.": TaskRecord}
    known = {f"`{at}{field.name}`" for at, part in parts.items() for field in fields(part)}
    told = [row[0] for row in _told()]
    assert sorted(told) == sorted(known - {"`books`"})


def test_it_is_said_of_each_who_changes_it_and_what_brings_it_back() -> None:
    assert all(len(row) == 3 and all(row) for row in _told())
