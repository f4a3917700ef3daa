"""The files of a folder as they are at a moment: all of them, or an error that names the place."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from bec_ops.contract.errors import RetryableError
from bec_ops.contract.location import LOG_FOLDER, is_under
from bec_ops.contract.marker import MARKER_NAME

_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

_AT_REST = "let whatever writes it end before that"
_READABLE = "let the program make all that it leaves there readable, as by chmod -R u+rwX"


class FileState(NamedTuple):
    """What changes when somebody writes to a file, or puts another one in its place."""

    device: int
    inode: int
    size: int  # bytes
    modified: int  # nanoseconds; whoever writes may set it back, as cp -p does
    changed: int  # nanoseconds; nobody sets it, and to read a file does not change it

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Keep that of what the kernel says of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def files_in(folder: Path) -> dict[str, FileState]:
    """Return the files under a folder, by their paths in it.

    What cannot be read, or is neither a file nor a folder, raises RetryableError: nothing that is
    there may be left out. Links to files are as good as files.
    """
    found: dict[str, FileState] = {}
    folders = [folder]
    while folders:
        inner, files = _entries(folders.pop(), folder)
        folders += inner
        for entry in files:
            name = _name(entry.path, folder)
            found[name] = _file(entry, name)
    return found


@contextmanager
def unchanged(file: Path) -> Iterator[None]:
    """Read a file in here; raises RetryableError if it changes meanwhile, whatever else fails."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise RetryableError(f"{file} is {_kind(found)}: only files can be uploaded")
    before = FileState.of(found)
    try:
        yield
    except Exception as error:
        _check(file, before, error)
        raise
    _check(file, before, None)


def _check(file: Path, before: FileState, cause: Exception | None) -> None:
    try:
        after = FileState.of(file.stat())
    except FileNotFoundError:
        raise RetryableError(f"{file} was removed while it was uploaded; {_AT_REST}") from cause
    if after != before:
        what = change(before, after)
        raise RetryableError(f"{file} {what}, while it was uploaded; {_AT_REST}") from cause


def difference(before: dict[str, FileState], after: dict[str, FileState]) -> str:
    """Say of one file what has become of it between two looks; empty if all are as they were."""
    for name in before.keys() | after.keys():
        if name not in after:
            return f"{name} is gone"
        if name not in before:
            return f"{name} was not there when the program ended"
        if before[name] != after[name]:
            return f"{name} {change(before[name], after[name])}"
    return ""


def change(before: FileState, after: FileState) -> str:
    """Say how a file differs from what it was."""
    if before.size != after.size:
        return f"had {before.size:,} bytes, and has {after.size:,} now"
    if (before.device, before.inode) != (after.device, after.inode):
        return "was replaced by another file"
    if before.modified != after.modified:
        return "was written to"
    return "was written to and its time set back, or its mode, owner or links were changed"


def _entries(path: Path, folder: Path) -> tuple[list[Path], list[os.DirEntry[str]]]:
    """Return the folders in a folder, and all else that is in it."""
    folders, others = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    others.append(entry)
    except OSError as error:
        name = "" if path == folder else f"{_shown(os.path.relpath(path, folder))}/ in "
        raise RetryableError(
            f"{name}the output folder cannot be listed{_mode(path)}: {error.strerror}; {_READABLE}"
        ) from None
    return folders, others


def _name(path: str, folder: Path) -> str:
    """Return a file's name as an artefact; raises RetryableError for one that is not allowed."""
    name = os.path.relpath(path, folder)
    if is_under(MARKER_NAME, name):
        raise RetryableError(
            f"the program has written {_shown(name)} into its output folder: let it leave that "
            f"out, {MARKER_NAME} is written for you, last of all"
        )
    if is_under(LOG_FOLDER, name):
        raise RetryableError(
            f"the program has written {_shown(name)} into its output folder: {LOG_FOLDER} is the "
            "place of the attempts' logs; let it choose another folder"
        )
    if "\\" in name:
        raise RetryableError(
            f"the name of {_shown(name)} in the output folder has a backslash, which some stores "
            "take for a slash: let the program choose another one"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RetryableError(
            f"the name of {_shown(name)} in the output folder is not UTF-8, as S3 wants it: let "
            "the program choose another one"
        ) from None
    return name


def _file(entry: os.DirEntry[str], name: str) -> FileState:
    """Look at what is to be a file that can be read."""
    path, where = Path(entry.path), f"{_shown(name)} in the output folder"
    try:
        found = path.stat()
    except OSError as error:
        if entry.is_symlink():
            raise RetryableError(
                f"{where} is a link that leads nowhere ({error.strerror}): let the program write a "
                "copy, or leave it out"
            ) from None
        raise RetryableError(
            f"{where} cannot be looked at: {error.strerror}"
            f"{_mode(path.parent, 'its folder has ')}; {_READABLE}"
        ) from None
    if not stat.S_ISREG(found.st_mode):
        kind = _kind(found).replace("a folder", "a link to a folder")
        raise RetryableError(
            f"{where} is {kind}, neither a file nor a folder: let the program write copies, and "
            "leave out what is no file"
        )
    if not os.access(path, os.R_OK):
        raise RetryableError(f"{where} cannot be read{_mode(path)}; {_READABLE}")
    return FileState.of(found)


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")


def _mode(path: Path, whose: str = "") -> str:
    """Tell the mode of what cannot be read, if that at least can be had."""
    try:
        return f" ({whose}mode {stat.S_IMODE(path.stat().st_mode):04o})"
    except OSError:
        return ""


def _shown(name: str) -> str:
    """Return a name as it can be printed: it may hold what is no text."""
    return repr(name) if not name.isprintable() or name != name.strip() else name
