"""A part of what is written down in S3 bit by bit: there is no other way to add to it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Part:
    """An object that one process writes, and nobody else, again and again, each time as a whole.

    `number` is 0 as long as it is not known; `text` is what stands there.
    """

    number: int = 0
    writer: str = ""
    text: bytes = b""
