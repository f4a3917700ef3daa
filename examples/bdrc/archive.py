"""Makes the input: an archive in the layout of BDRC's, with the pages of the OCR example."""

import gzip
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from bec_ops.store import Store
from bec_ops.volume import Volume
from examples.bdrc.folders import DIMENSIONS, folder_of
from examples.ocr.make_pages import BOOKS, Book

ARCHIVE = "bec-archive"
"""The bucket."""


@dataclass(frozen=True)
class Group:
    """An image group of the catalogue, and what was scanned."""

    volume: Volume  # without a version: its folder has one
    book: Book


_IDS = ("I9001", "I9002", "I9003", "I0EX4", "I9005", "I9006")
GROUPS = tuple(
    Group(Volume(book.volume.w_id.removeprefix("bnf:"), i_id), book)
    for book, i_id in zip(BOOKS, _IDS, strict=True)
)
NOT_SCANNED = Volume("W0EX5", "I9007")
"""It is in the catalogue and not in the archive."""


def upload(store: Store, bucket: str) -> int:
    """Write the folders that are not in the archive yet, and return how many those are."""
    made = 0
    for group in GROUPS:
        if store.head(bucket, folder_of(group.volume) + DIMENSIONS) is None:
            put_folder(store, bucket, group.volume, (page.png() for page in group.book.pages()))
            made += 1
    return made


def put_folder(store: Store, bucket: str, volume: Volume, pages: Iterable[bytes]) -> None:
    """Write the images of a volume, then `dimensions.json`: it says that all are there."""
    folder = folder_of(volume)
    listed = []
    for number, png in enumerate(pages, start=1):
        name = f"{volume.i_id}{number:04}.png"
        store.put(bucket, folder + name, png, "image/png")
        with Image.open(io.BytesIO(png)) as image:
            listed.append({"filename": name, "width": image.width, "height": image.height})
    packed = gzip.compress(json.dumps(listed).encode(), mtime=0)  # else each time another ETag
    store.put(bucket, folder + DIMENSIONS, packed, "application/json")
