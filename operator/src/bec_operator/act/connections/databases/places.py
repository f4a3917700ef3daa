"""A query with its values in their places, as a driver wants it."""

import re
from collections.abc import Callable, Mapping

Place = Callable[[str], str]

# A text, an escaped colon, a name in its place, or another colon: ::text, say.
_COLON = re.compile(r"'(?:[^']|'')*'|\\:|(?<![:\w\\]):([A-Za-z_]\w*)|:")


def by_percent(name: str) -> str:
    """Return where a value stands for drivers that take `%` for the beginning of a place."""
    return f"%({name})s"


def by_colon(name: str) -> str:
    """Return where a value stands for drivers that know `:name`."""
    return f":{name}"


def with_places(
    query: str, values: Mapping[str, object], place: Place
) -> tuple[str, dict[str, object]]:
    """Return the query, and the values by the names that stand in it now.

    A value that is a list, of texts or tuples and not empty, stands for what follows IN. Nothing
    but the names of values is taken for a place.
    """
    given: dict[str, object] = {}
    written = {name: _written(name, value, place, given) for name, value in values.items()}

    def kept(found: re.Match[str]) -> str:
        if found[1] in written:
            return written[found[1]]
        return ":" if found[0] == r"\:" else found[0]

    if place is by_percent:
        query = query.replace("%", "%%")
    return _COLON.sub(kept, query), given


def _written(name: str, value: object, place: Place, given: dict[str, object]) -> str:
    """Return what stands for a value, and put it among those that are given."""
    if not isinstance(value, list):
        given[name] = value
        return place(name)
    rows = any(isinstance(each, tuple) for each in value)
    listed = []
    for at, each in enumerate(value):
        parts = each if isinstance(each, tuple) else (each,)
        names = [f"{name}_{at}_{part}" for part in range(len(parts))]
        given.update(zip(names, parts, strict=True))
        placed = ", ".join(map(place, names))
        listed.append(f"({placed})" if rows else placed)
    # SQLite knows rows after IN as a table alone.
    table = "VALUES " if rows and place is by_colon else ""
    return f"({table}{', '.join(listed)})"
