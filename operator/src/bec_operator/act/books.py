"""How much is remembered: the entries of each book of all jobs, for `/metrics`."""

from collections import Counter
from collections.abc import Iterable, Sized

from bec_operator.decide.memory.memory import Memory
from bec_operator.metrics import REMEMBERED

BOOKS = (
    "volumes",
    "added",
    "tasks",
    "records",
    "blocked",
    "nodes",
    "unread",
    "released",
    "failures",
    "reported",
    "under_way",
    "faults",
)


def count_books(memories: Iterable[Memory]) -> None:
    """Say how many entries the books of all jobs have together."""
    sizes: Counter[str] = Counter()
    for memory in memories:
        sizes.update(books_of(memory))
    for book in BOOKS:
        REMEMBERED.labels(book).set(sizes[book])


def books_of(memory: Memory) -> dict[str, int]:
    """Return the number of entries of each book of one job that grows with the work on it."""
    books = memory.books
    found: tuple[Sized, ...] = (
        books.volumes,
        books.added,
        books.tasks,
        books.records,
        books.blocked,
        books.nodes,
        books.markers.unread,
        books.markers.released,
        books.report.unsaved,
        books.report.rows,
        memory.under_way,
        memory.under_way.faults,
    )
    return dict(zip(BOOKS, map(len, found), strict=True))
