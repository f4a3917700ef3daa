"""Folders of a listing as volumes: all of them are taken or none, as with lists."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.checking import checked_row
from bec_operator.sources.folder_template import FolderTemplate, volume_of
from bec_operator.sources.text_lines import ListError

_SHOWN = 200  # characters of a key that is told of
_BUCKETS = 64  # so that no set is large


def volumes_of_folders(
    template: FolderTemplate, folders: Callable[[], Iterable[str]]
) -> VolumeList:
    """Return the volumes in the order of their folders, which all fit. Raises ListError.

    `folders` gives them as often as it is called.
    """
    hashes = [array("q") for _ in range(_BUCKETS)]

    def noted() -> Iterator[str]:
        for _, row in _rows(template, folders()):
            hashed = hash(row)
            hashes[hashed % _BUCKETS].append(hashed)
            yield row

    volumes = VolumeList.pack(noted())
    twice = {
        hashed
        for bucket in hashes
        if len(set(bucket)) < len(bucket)
        for hashed, count in Counter(bucket).items()
        if count > 1
    }
    if twice:
        _check_once(template, folders(), twice)
    return volumes


def _rows(template: FolderTemplate, folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    last = template.levels[-1]
    for folder in folders:
        values = last.values(folder)
        assert values is not None
        try:
            yield folder, checked_row(volume_of(values))
        except ValueError as error:
            raise ListError(
                f"spec.volumes.s3.uri: the folder {shown(template.bucket, folder)} fits it and is "
                "no volume, so have it called otherwise, or write a uri that it does not fit: "
                f"{error}"
            ) from None


def _check_once(template: FolderTemplate, folders: Iterable[str], twice: set[int]) -> None:
    """Refuse a volume of two folders, by both; `twice` are the hashes of those that may be."""
    firsts: dict[str, str] = {}
    for folder, row in _rows(template, folders):
        if hash(row) in twice and (first := firsts.setdefault(row, folder)) != folder:
            values = template.levels[-1].values(folder)
            assert values is not None
            raise ListError(
                f"spec.volumes.s3.uri: the volume {volume_of(values)} has two folders, "
                f"{shown(template.bucket, first)} and {shown(template.bucket, folder)}; take one "
                "away, or write a uri that it does not fit"
            )


def shown(bucket: str, folder: str) -> str:
    """Return so much of a place as tells which it is: it may have any name."""
    place = f"s3://{bucket}/{folder}"
    said = place if len(place) <= _SHOWN else f"{place[:_SHOWN]}…"
    return said if said.isprintable() else repr(said)
