"""What is written down in S3 bit by bit, in parts: `<stem>-<number>-<writer>.jsonl`.

One process writes to a part of its own, as whole, until that is large enough, and then to the next
one. So there are few of them; two processes never write the same one; and what was told stays told,
whenever a process dies. The numbers say which lines are later.
"""

import logging
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bec_operator.decide.volumes.part import Part
from bec_ops.contract.s3.store import Store, TooLargeError

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)

PART_BYTES = 256 * 1024
"""A part that has reached this is not written to any more."""

PART_AT_MOST = 64 * 1024 * 1024
"""A part that is larger is nothing that we wrote, and is not read."""

_LAST_NUMBER = 100_000_000
"""Ours begin below: whoever writes a part of a higher number does not have ours be the last."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One kind of lines that are written in parts, in the folder of a job's reports.

    `digits`: the number has that many, so that S3 lists the parts in their order.
    """

    stem: str
    digits: int = 1

    def key(self, folder: str, part: Part) -> str:
        """Return where a part stands that has been written."""
        return f"{folder}{self.stem}-{part.number:0{self.digits}}-{part.writer}.jsonl"

    def append(self, store: Store, bucket: str, folder: str, part: Part, lines: bytes) -> Part:
        """Write more lines, and return the part that has them. Raises StoreError.

        Whoever has caught that goes on with `Part(part.number)`: the write may come late, and must
        not take the place of a later one.
        """
        number, writer, text = part.number, part.writer, part.text
        if not number:
            numbers = (number for number, _ in self.keys(store, bucket, folder))
            number = 1 + max((n for n in numbers if n < _LAST_NUMBER), default=0)
        elif not writer or len(text) + len(lines) > PART_BYTES:
            number, writer, text = number + 1, "", b""
        written = Part(number, writer or secrets.token_hex(4), text + lines)
        store.put(bucket, self.key(folder, written), written.text, "application/x-ndjson")
        return written

    def keys(self, store: Store, bucket: str, folder: str) -> Iterator[tuple[int, str]]:
        """Yield the numbers and keys of all parts, as S3 lists them."""
        # the earliest have no writer
        name = re.compile(rf"/{self.stem}-(\d{{1,9}})(?:-[0-9a-f]+)?\.jsonl$")
        for key in store.list_keys(bucket, f"{folder}{self.stem}-"):
            if match := name.search(key):
                yield int(match[1]), key


def lines_of(store: Store, bucket: str, key: str, line: type[M], limit: int = 0) -> Iterator[M]:
    """Yield the lines of a part; what is none of ours is left out, with a word in the log."""
    foreign = 0
    try:
        with store.open(bucket, key, limit or PART_AT_MOST) as found:
            for text in _split(found.chunks if found is not None else ()):
                try:
                    read = line.model_validate_json(text)
                except ValidationError:
                    foreign += 1
                else:
                    yield read
    except TooLargeError as error:
        log.warning("%s: it is none of ours, and is left out", error)
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
