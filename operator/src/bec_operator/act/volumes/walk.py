"""Goes through folders in S3 level by level, and looks at no object in them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from bec_operator.act.ground.storage import Storage
from bec_operator.sources.folder_template import FolderTemplate, Level
from bec_operator.sources.listed_folders import shown
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.s3.store import Store, StoreError

MAX_OTHERS = 1_000_000
"""Folders that are no volume: those on the way, and those that do not fit."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders in the order of their keys, whatever the order of the answers was.

    For each prefix that was listed, `names` has what comes after it, each with its slash.
    """

    prefixes: Sequence[str]
    names: Sequence[str]

    def __iter__(self) -> Iterator[str]:
        for prefix, names in zip(self.prefixes, self.names, strict=True):
            for name in names.split("/")[:-1]:
                yield f"{prefix}{name}/"


async def find_folders(
    storage: Storage, template: FolderTemplate, max_volumes: int, max_others: int = MAX_OTHERS
) -> Folders:
    """Return the folders that fit; raises StoreError, and ListError where there are too many."""
    bounds = _Bounds(template.bucket, max_volumes, max_others)
    first, *further = template.levels
    walk = _Walk(storage, template.bucket, bounds)
    prefixes = [first.prefix("", {})]
    for level, below in zip(template.levels, further, strict=False):
        folders = await walk.listed(level, prefixes, is_last=False)
        prefixes = await asyncio.to_thread(_prefixes, level, below, folders)
    return await walk.listed(template.levels[-1], prefixes, is_last=True)


def _prefixes(level: Level, below: Level, folders: Folders) -> list[str]:
    """Return what is listed for the folders of one level to find those below."""
    found = ((folder, level.values(folder)) for folder in folders)
    return [below.prefix(folder, values) for folder, values in found if values is not None]


class _Walk:
    """What all LISTs of a walk have in common."""

    def __init__(self, storage: Storage, bucket: str, bounds: "_Bounds") -> None:
        self._storage = storage
        self._bucket = bucket
        self._bounds = bounds
        self._trouble: StoreError | ListError | None = None  # with which nothing more is asked

    async def listed(self, level: Level, prefixes: Sequence[str], *, is_last: bool) -> Folders:
        """Return what fits a level, of several LISTs at once."""
        names: dict[str, str] = {}

        def look(store: Store, prefix: str) -> str:
            try:
                return self._names(store, level, prefix, is_last=is_last)
            except ListError as error:
                self._trouble = error
                return ""

        def note(prefix: str, answer: str | StoreError) -> None:
            if isinstance(answer, StoreError):
                self._trouble = self._trouble or answer
            else:
                names[prefix] = answer

        await self._storage.in_bulk("list", prefixes, look, note)
        if self._trouble is not None:
            raise self._trouble
        return Folders(prefixes, [names[prefix] for prefix in prefixes])

    def _names(self, store: Store, level: Level, prefix: str, *, is_last: bool) -> str:
        """Return the names that fit, in order; a store may show one twice."""
        found: set[str] = set()
        if self._trouble is not None:
            return ""
        for folder in store.list_folders(self._bucket, prefix):
            name = folder[len(prefix) :]
            fits = level.values(folder) is not None
            if name not in found:
                self._bounds.take(folder, is_volume=fits and is_last)
            if fits:
                found.add(name)
            if self._trouble is not None:
                return ""
        return "".join(sorted(found))


class _Bounds:
    """How much there may be, over all LISTs; many threads count."""

    def __init__(self, bucket: str, max_volumes: int, max_others: int) -> None:
        self._bucket = bucket
        self._most = {True: max_volumes, False: max_others}
        self._counts = {True: count(1), False: count(1)}  # each step is one, whoever takes it

    def take(self, folder: str, *, is_volume: bool) -> None:
        """Count a folder; raises ListError for the first one that is too many."""
        if next(self._counts[is_volume]) > self._most[is_volume]:
            raise ListError(self._too_many(folder, is_volume=is_volume))

    def _too_many(self, folder: str, *, is_volume: bool) -> str:
        most, place = f"{self._most[is_volume]:,}", shown(self._bucket, folder)
        if is_volume:
            return (
                f"spec.volumes.s3.uri: more than {most} folders fit it, {place} among them; write "
                "a uri that fits fewer, and have another job for the others, or have maxVolumes "
                "of the operator's chart raised"
            )
        return (
            f"spec.volumes.s3.uri: more than {most} folders were listed for it that are no volume, "
            f"{place} among them; write more of the way into the uri"
        )
