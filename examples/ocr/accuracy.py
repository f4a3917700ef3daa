"""How well the pages were read: their text in S3 compared with what is truly printed there."""

import unicodedata
from dataclasses import dataclass

from bec_ops.store import Store
from examples.ocr.make_pages import Book

MAX_ERROR_RATE = 0.3
"""What each page must stay under. Tesseract 5.3 has 0.14 on the real page and at most 0.11 on the
others; with the wrong language it has 0.9, with the text of another page 0.6 or more."""


@dataclass(frozen=True)
class ReadPage:
    """What came out of a page."""

    number: str
    text: str
    error_rate: float


def read_pages(store: Store, bucket: str, prefix: str, book: Book) -> list[ReadPage]:
    """Return the pages of a volume as they were read into `prefix`; a missing one reads empty."""
    pages = []
    for page in book.pages():
        text = (store.get(bucket, f"{prefix}{page.number}.txt") or b"").decode()
        pages.append(ReadPage(page.number, text, error_rate(text, page.text)))
    return pages


def error_rate(found: str, true: str) -> float:
    """Return the edits that turn `found` into `true`, per character of `true`.

    Code points are compared after normalisation to NFC, a run of white space counting as one
    blank: where a line ends is layout. 0 is perfect; a text of nothing but noise can exceed 1.
    """
    found, true = _plain(found), _plain(true)
    if not true:
        raise ValueError("there is no true text to compare with")
    return _distance(found, true) / len(true)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _distance(one: str, other: str) -> int:
    """Count the fewest insertions, deletions and replacements (Levenshtein), row by row."""
    above = list(range(len(other) + 1))
    for row, left in enumerate(one, start=1):
        current = [row]
        for column, right in enumerate(other, start=1):
            replaced = above[column - 1] + (left != right)
            current.append(min(replaced, above[column] + 1, current[-1] + 1))
        above = current
    return above[-1]
