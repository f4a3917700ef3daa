"""Lines of a text that comes bit by bit, gzipped or not, of any size and from anybody.

No more of it is held than a chunk and what that unpacks to, and nothing is done with all of it in
one go, so that other threads need not wait.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

MAX_LINE = 64 * 1024
"""Bytes of a line, at most: an id has 128 characters."""

_UNPACK_AT_ONCE = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31  # wbits of zlib: a gzip header, and any window

Line = tuple[int, str]


class ListError(ValueError):
    """A list that cannot be used; the message has the list's name and the line's number."""


def text_lines(chunks: Iterable[bytes], name: str, most: int) -> Iterator[Line]:
    """Yield each line without its end, and its number. Raises ListError.

    `most` is how many bytes there may be, once unpacked.
    """
    number = 1
    for block in _blocks(plain(chunks, name, most), name):
        text = _decoded(block, name, number)
        for line in text.split("\n"):
            if len(line) > MAX_LINE:
                raise _too_long(name, number)
            yield number, line
            number += 1


def plain(chunks: Iterable[bytes], name: str, most: int) -> Iterator[bytes]:
    """Yield what is to be read, unpacked where it begins like gzip; ListError beyond `most`."""
    source, head = iter(chunks), b""
    for chunk in source:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    whole = chain([head], source)
    come = 0
    for part in _unpacked(whole, name) if head.startswith(_GZIP_MAGIC) else whole:
        come += len(part)
        if come > most:
            raise ListError(
                f"{name} has more than {most:,} bytes when unpacked; split it into several jobs"
            )
        yield part


def _unpacked(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield what a gzip of any number of members holds."""
    unpack = None
    try:
        for packed in chunks:
            rest = packed
            while rest := rest if unpack else rest.lstrip(b"\0"):  # zeros may stand between two
                unpack = unpack or zlib.decompressobj(_GZIP)
                part = unpack.decompress(rest, _UNPACK_AT_ONCE)
                while len(part) == _UNPACK_AT_ONCE:
                    yield part
                    part = unpack.decompress(unpack.unconsumed_tail, _UNPACK_AT_ONCE)
                yield part
                if not unpack.eof:
                    break  # all of the chunk is in
                rest, unpack = unpack.unused_data, None
    except zlib.error as error:
        raise ListError(f"{name} begins like gzip, but cannot be unpacked: {error}") from None
    if unpack is not None:
        raise ListError(f"{name} begins like gzip, but cannot be unpacked: it is cut short")


def _blocks(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield whole lines, many at once, without the end of the last one."""
    rest, passed = b"", 0
    for chunk in chunks:
        whole, end, begun = chunk.rpartition(b"\n")
        if end:
            yield rest + whole
            passed += chunk.count(b"\n")
            rest = begun
        else:
            rest += begun
        if len(rest) > MAX_LINE:
            raise _too_long(name, passed + 1)
    yield rest


def _decoded(block: bytes, name: str, number: int) -> str:
    """Return text that begins with the line `number`."""
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        number += block.count(b"\n", 0, error.start)
        raise ListError(f"{name}, line {number}: not text in UTF-8 ({error.reason})") from None
    if "\0" in text:
        number += text.count("\n", 0, text.index("\0"))
        raise ListError(f"{name}, line {number}: not text (a zero byte); is it a list of volumes?")
    return text


def _too_long(name: str, number: int) -> ListError:
    return ListError(
        f"{name}, line {number}: longer than {MAX_LINE:,} bytes; is it a list of volumes?"
    )
