"""Rows of a query, each of which is a volume, or the version of one.

They are read as a whole or not at all, as lists are, and with the same checks. Columns go by their
names, as databases fold them.
"""

from collections.abc import Iterator, Sequence

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SitedVolume, SiteNotes
from bec_operator.sources.checking import Manner, Once, checked, checked_row
from bec_operator.sources.headers import meant_column, short
from bec_operator.sources.lists import MAX_VOLUMES
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.volume import Volume

Row = tuple[object, ...]
_IDS = ("w_id", "i_id")
_MAY_BE_NULL = ("i_version", "source", "site")
_ROWS = Manner(
    "row",
    "let the query give fewer, and the others to another job",
    "write SELECT DISTINCT, or join so that each comes once",
)


def volumes_of_rows(
    columns: Sequence[str], rows: Iterator[Row], name: str, max_volumes: int
) -> VolumeList:
    """Return the volumes in the order of their rows; there may be none. Raises ListError.

    `name` says in messages where the query stands. The columns are w_id, i_id and, if there are
    such, i_version, site and source, whose name goes before that of the work as in a list.
    """
    placed = _Placed(columns, name, needed=_IDS, known=(*_IDS, *_MAY_BE_NULL))
    once, sites = Once(name, _ROWS), SiteNotes()
    found = checked(placed.volumes(rows), name, max_volumes, _ROWS, sites)
    volumes = VolumeList.pack(once.noted(found)).sited(sites.all())
    once.check(volumes)
    return volumes


def versions_of_rows(
    columns: Sequence[str], rows: Iterator[Row], name: str, max_rows: int = MAX_VOLUMES
) -> dict[tuple[str, str], str]:
    """Return the version of each (w_id, i_id) that has one. Raises ListError."""
    known = (*_IDS, "i_version")
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for number, volume in _Placed(columns, name, needed=known, known=known).volumes(rows):
        if number > max_rows:
            raise ListError(
                f"{name}: more than {max_rows:,} rows; let the query give those of :volumes alone"
            )
        try:
            checked_row(volume)
        except ValueError as error:
            raise ListError(f"{name}, row {number}: {error}") from None
        w_id, i_id, version = volume
        if not version:
            continue
        before, first = found.setdefault((w_id, i_id), (version, number))
        if before != version:
            raise ListError(
                f"{name}, row {number}: {w_id}/{i_id} has the version {version}, and in row "
                f"{first} it has {before}; let the query give the one that counts"
            )
    return {volume: version for volume, (version, _) in found.items()}


class _Placed:
    """The columns of a query by their places."""

    def __init__(
        self, columns: Sequence[str], name: str, *, needed: Sequence[str], known: Sequence[str]
    ) -> None:
        self._name = name
        folded = [column.lower() for column in columns]
        for column, plain in zip(columns, folded, strict=True):
            if plain not in known:
                raise ListError(f"{name}: {_unknown(column, known)}")
            if folded.count(plain) > 1:
                raise ListError(f"{name}: the query has the column {plain} twice; give it once")
        if missing := [column for column in needed if column not in folded]:
            raise ListError(
                f"{name}: the query has no column {missing[0]}; write AS {missing[0]} behind the "
                "column that has it"
            )
        self._w_id, self._i_id = map(folded.index, _IDS)
        self._version, self._source, self._site = (
            folded.index(column) if column in folded else None for column in _MAY_BE_NULL
        )

    def volumes(self, rows: Iterator[Row]) -> Iterator[tuple[int, Volume]]:
        """Yield the number of each row, and its volume. Raises ListError."""
        version, source, site = self._version, self._source, self._site
        for number, row in enumerate(rows, 1):
            w_id, i_id = row[self._w_id], row[self._i_id]
            if type(w_id) is not str:
                w_id = self._text(number, "w_id", w_id)
            if type(i_id) is not str:
                i_id = self._text(number, "i_id", i_id)
            if source is not None and (said := self._text(number, "source", row[source])):
                w_id = f"{said}:{w_id}" if w_id else w_id
            i_version = "" if version is None else self._text(number, "i_version", row[version])
            volume = Volume(w_id, i_id, i_version)
            if site is not None:
                volume = SitedVolume.at(volume, self._text(number, "site", row[site]))
            yield number, volume

    def _text(self, number: int, column: str, value: object) -> str:
        """Return a value as text: catalogues have whole numbers for ids, too."""
        if isinstance(value, str):
            return value
        if value is None and column in _MAY_BE_NULL:
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is None:
            said = f"{column} is NULL; leave such rows out: WHERE {column} IS NOT NULL"
        else:
            said = (
                f"{column} is no text, but of the type {type(value).__name__}; write "
                f"CAST(… AS text) AS {column}, in MySQL CAST(… AS char)"
            )
        raise ListError(f"{self._name}, row {number}: {said}")


def _unknown(column: str, known: Sequence[str]) -> str:
    """Say which columns there can be, and which one was probably meant."""
    meant = meant_column(column)
    instead = f"write AS {meant} behind it if that is meant, or " if meant in known else ""
    return (
        f"the query has the column {short(column)}, which is unknown here; {instead}leave it out: "
        f"its columns are {', '.join(known)}"
    )
