"""The parts of the failure report in S3: `failures-<number>-<writer>.jsonl`.

One process writes to a part of its own, as whole, until that is large enough, and then to the next
one. So a job has a few of them; two processes never write the same one; and what was told stays
told, whenever a process dies. The numbers say which lines are later.
"""

import logging
import re
import secrets
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from bec_operator.decide.volumes.failure_report import Line, Part
from bec_ops.contract.s3.store import Store, TooLargeError

log = logging.getLogger(__name__)

PART_BYTES = 256 * 1024
"""A part that has reached this is not written to any more."""

PART_AT_MOST = 64 * 1024 * 1024
"""A part that is larger is nothing that we wrote, and is not read."""

_NAME = re.compile(r"/failures-(\d{1,9})(?:-[0-9a-f]+)?\.jsonl$")  # the earlier ones have no writer


def append(store: Store, bucket: str, folder: str, part: Part, lines: bytes) -> Part:
    """Write more lines, and return the part that has them. Raises StoreError.

    Whoever has caught that goes on with `Part(part.number)`: the write may come late, and must not
    take the place of a later one.
    """
    number, writer, text = part.number, part.writer, part.text
    if not number:
        number = 1 + max(_numbered(store, bucket, folder), default=(0, ""))[0]
    elif not writer or len(text) + len(lines) > PART_BYTES:
        number, writer, text = number + 1, "", b""
    written = Part(number, writer or secrets.token_hex(4), text + lines)
    key = f"{folder}failures-{number}-{written.writer}.jsonl"
    store.put(bucket, key, written.text, "application/x-ndjson")
    return written


def read(store: Store, bucket: str, folder: str) -> Iterator[Line]:
    """Yield all lines that were reported, in the order in which they were written."""
    for _, key in sorted(_numbered(store, bucket, folder)):
        yield from _lines(store, bucket, key)


def _numbered(store: Store, bucket: str, folder: str) -> Iterator[tuple[int, str]]:
    for key in store.list_keys(bucket, f"{folder}failures-"):
        if match := _NAME.search(key):
            yield int(match[1]), key


def _lines(store: Store, bucket: str, key: str) -> Iterator[Line]:
    foreign = 0
    try:
        with store.open(bucket, key, PART_AT_MOST) as found:
            for text in _split(found.chunks if found is not None else ()):
                try:
                    line = Line.model_validate_json(text)
                except ValidationError:
                    foreign += 1
                else:
                    yield line
    except TooLargeError as error:
        log.warning("%s: it is no failure report of ours, and is left out", error)
    if foreign:
        log.warning("s3://%s/%s: %d lines are not ours, and are left out", bucket, key, foreign)


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text that comes bit by bit."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest
