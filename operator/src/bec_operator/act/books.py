"""How much is remembered: the entries of each book of all jobs, for `/metrics`."""

from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import fields

from bec_operator.decide.memory import Memory
from bec_operator.metrics import REMEMBERED


def count_books(memories: Iterable[Memory]) -> None:
    """Say how many entries the books of all jobs have together."""
    sizes: Counter[str] = Counter(dict.fromkeys(_BOOKS, 0))
    for memory in memories:
        sizes.update(books_of(memory))
    for book, size in sizes.items():
        REMEMBERED.labels(book).set(size)


def books_of(memory: Memory) -> dict[str, int]:
    """Return the number of entries of each book of one job."""
    books = {name: getattr(memory, name) for name in _BOOKS}
    return {name: len(book) for name, book in books.items() if isinstance(book, Sized)}


_BOOKS = [field.name for field in fields(Memory)]
