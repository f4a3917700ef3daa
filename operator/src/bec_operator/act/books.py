"""How much is remembered: the entries of each book of all jobs, for `/metrics`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import MISSING, fields

from bec_operator.decide.memory.memory import Memory
from bec_operator.metrics import REMEMBERED


def _books() -> list[str]:
    """Return the names of what grows with the work on a job."""
    made = {
        book.name: book.default if book.default_factory is MISSING else book.default_factory()
        for book in fields(Memory)
    }
    return [name for name, book in made.items() if isinstance(book, dict | list | set | tuple)]


BOOKS = _books()


def count_books(memories: Iterable[Memory]) -> None:
    """Say how many entries the books of all jobs have together."""
    sizes: Counter[str] = Counter(dict.fromkeys(BOOKS, 0))
    for memory in memories:
        sizes.update(books_of(memory))
    for book, size in sizes.items():
        REMEMBERED.labels(book).set(size)


def books_of(memory: Memory) -> dict[str, int]:
    """Return the number of entries of each book of one job."""
    return {name: len(getattr(memory, name)) for name in BOOKS}
