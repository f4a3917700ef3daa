"""Where the archive has a volume, and what its `dimensions.json` says of its pages."""

import hashlib
import json
import re
import zlib
from pathlib import PurePosixPath

from bec_ops.volume import Volume

DIMENSIONS = "dimensions.json"
MAX_BYTES = 64 << 20
"""Of `dimensions.json` once it is unpacked; some 60 bytes a page are usual."""

_GROUP = re.compile(r"I(\d{4})")  # the folder of such an image group has its digits alone
_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
_GZIP = 31  # to zlib: a header of gzip is there, and a window of any size


class BadDimensionsError(Exception):
    """This list of pages will never be read."""


def folder_of(volume: Volume) -> str:
    """Return the prefix under which the images of a volume are, the same for each version."""
    digits = hashlib.md5(volume.w_id.encode(), usedforsecurity=False).hexdigest()[:2]
    group = _GROUP.fullmatch(volume.i_id)
    folder = group[1] if group else volume.i_id
    return f"Works/{digits}/{volume.w_id}/images/{volume.w_id}-{folder}/"


def pages_of(packed: bytes) -> list[str]:
    """Return the names of the images that `dimensions.json` lists, in its order.

    What is no image, or in another folder, is passed over. Raises BadDimensionsError.
    """
    try:
        listed = json.loads(_unpacked(packed))
    except (ValueError, RecursionError):
        raise BadDimensionsError("is no JSON: write a list of pages into it") from None
    if not isinstance(listed, list):
        raise BadDimensionsError("has no list of pages: write [{filename, width, height}, …]")
    names = [page.get("filename") if isinstance(page, dict) else None for page in listed]
    return [name for name in names if isinstance(name, str) and _is_image(name)]


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        text = unpacking.decompress(packed, MAX_BYTES)
    except zlib.error:
        raise BadDimensionsError("is no gzip: pack it") from None
    if not unpacking.eof:
        if len(text) >= MAX_BYTES:
            raise BadDimensionsError(f"has more than {MAX_BYTES} bytes once it is unpacked")
        raise BadDimensionsError("ends before its end: write it anew")
    return text


def _is_image(name: str) -> bool:
    return "/" not in name and PurePosixPath(name).suffix.lower() in _IMAGES
