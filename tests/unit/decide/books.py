"""What an operator still remembers, wherever it does: for tests that it forgets in the end."""

from collections import OrderedDict
from collections.abc import Iterator, Sized
from dataclasses import fields, is_dataclass
from typing import Any

from bec_operator.act.ground.cache import Cache
from bec_operator.act.reconciler import Reconciler
from bec_operator.decide.memory.memory import Memory

# What is known of the Job itself, is of a fixed size, or is few words.
_OF_THE_JOB = {
    "job",
    "facts",
    "saving.version",
    "telling.stalls",
    "pool.revision",
    "pool.decision",
    "books.throughput.unit",
}


def left_in_memory(memory: Memory) -> dict[str, Any]:
    """Return the books of a Job that has ended which are not empty, by their names."""
    return dict(_books(memory, ""))


def _books(thing: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path in _OF_THE_JOB:
        return
    if is_dataclass(thing) or hasattr(type(thing), "__slots__"):
        for name in _names(thing):
            yield from _books(getattr(thing, name, None), f"{path}.{name}".strip("."))
    elif isinstance(thing, Sized) and len(thing):
        yield path, thing


def _names(thing: Any) -> list[str]:
    if is_dataclass(thing):
        return [field.name for field in fields(thing)]
    return [*type(thing).__slots__]


def left_in_process(cache: Cache, reconciler: Reconciler) -> dict[str, Any]:
    """Return the books of a process without Jobs which are not empty, by their names."""
    owners = {
        "jobs": cache.jobs,
        "tasks": cache.tasks,
        "pods": cache.pods,
        "pool pods": cache.pool_pods,
        "deployments": cache.deployments,
        "workers": cache.workers,
        "pool workers": cache.pool_workers,
        "outside": cache.outside,
        "enrolled": cache.enrolled,
        "unreadable": cache.unreadable,
        "cache": cache,
        "reconciler": reconciler,
        "doer": reconciler._doer,
    }
    return {
        f"{owner}.{name}": book
        for owner, thing in owners.items()
        for name, book in vars(thing).items()
        if isinstance(book, dict | set | list) and not _is_bounded(name, book) and book
    }


def _is_bounded(name: str, book: Any) -> bool:
    """Whether a book has its own bound, or does not grow: tombstones, and lanes."""
    return isinstance(book, OrderedDict) or name in {"_lanes", "_parts"}
