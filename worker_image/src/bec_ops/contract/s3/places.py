"""Where artefacts go: under the task's prefix in S3, or to a folder when an author tries things."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from bec_ops.contract.s3.store import READ_AT_MOST, Content, Store, TooLargeError
from bec_ops.contract.s3.transfers import Watch
from bec_ops.contract.task import FILE_SCHEME

_CHUNK = 1024 * 1024


class Place(Protocol):
    """Objects by their names under one prefix; what fails raises StoreError or OSError."""

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Write an object."""

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        """Write an object from a file."""

    def fetch(self, name: str, limit: int = READ_AT_MOST) -> Content | None:
        """Return an object, or None if there is none; TooLargeError for more than `limit` bytes."""

    def listed(self) -> Iterator[str]:
        """Yield the names of all objects."""

    def written(self, name: str) -> datetime | None:
        """Return when an object was last written; None if there is none."""


class S3Place:
    """A prefix in a bucket."""

    def __init__(self, store: Store, bucket: str, prefix: str) -> None:
        self._store, self._bucket, self._prefix = store, bucket, prefix

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Write an object in one request."""
        self._store.put(self._bucket, self._prefix + name, body, content_type)

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        """Write an object of any size."""
        self._store.upload(self._bucket, self._prefix + name, file, content_type, watch)

    def fetch(self, name: str, limit: int = READ_AT_MOST) -> Content | None:
        """Return an object, or None if S3 says that there is none."""
        return self._store.fetch(self._bucket, self._prefix + name, limit)

    def listed(self) -> Iterator[str]:
        """Yield the names of all objects, in S3's order."""
        for key in self._store.list_keys(self._bucket, self._prefix):
            yield key.removeprefix(self._prefix)

    def written(self, name: str) -> datetime | None:
        """Return S3's time of an object; None if S3 says that there is none."""
        found = self._store.head(self._bucket, self._prefix + name)
        return None if found is None else found.last_modified


class FolderPlace:
    """A folder of this machine. What stands there is whole: it is written aside, then renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Write a file."""
        del content_type
        with self._aside(name) as draft:
            draft.write(body)

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        """Copy a file."""
        del content_type
        with file.open("rb") as source, self._aside(name) as draft:
            while data := source.read(_CHUNK):
                watch(draft.write(data))

    @contextmanager
    def _aside(self, name: str) -> Iterator[IO[bytes]]:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            yield file
        draft.replace(path)

    def fetch(self, name: str, limit: int = READ_AT_MOST) -> Content | None:
        """Return a file's content, or None if there is none."""
        path = self._folder / name
        if not path.exists():
            return None
        if (size := path.stat().st_size) > limit:
            raise TooLargeError(str(path), size, limit)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Content(path.read_bytes(), written)

    def listed(self) -> Iterator[str]:
        """Yield the names of all files."""
        for path, folders, files in os.walk(self._folder):
            folders.sort()
            for file in sorted(files):
                yield (Path(path) / file).relative_to(self._folder).as_posix()

    def written(self, name: str) -> datetime | None:
        """Return when a file was last written; None if there is none."""
        path = self._folder / name
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None


def open_place(uri: str, store: Callable[[], Store] = Store) -> Place:
    """Return what ``s3://bucket/prefix/`` or ``file:///folder/`` names.

    The store is only made if it is needed.
    """
    if uri.startswith(FILE_SCHEME):
        return FolderPlace(Path(uri.removeprefix(FILE_SCHEME)))
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Place(store(), bucket, prefix)
