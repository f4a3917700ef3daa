"""The line detection worker: finds the lines of text on the page images of a volume.

Input are the images under `images/{w_id}/{i_id}/` of the job's bucket. Output is a JSON file a
page, with the size of the page and the box of each line, all in pixels. A page that is no image is
listed in the marker, and its volume succeeds without it; a volume of which no page can be read has
failed for good.
"""

import io
import json
from dataclasses import asdict
from pathlib import PurePosixPath

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from bec_ops import TerminalError, worker
from bec_ops.location import escape
from bec_ops.running_task import RunningTask
from bec_ops.store import Store

from .lines import find_lines

_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
# What Pillow raises for an image that is broken, no image, or too big to be one.
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class UnreadableError(Exception):
    """This page will never be read."""


class Parameters(BaseModel):
    """What a job may set under `spec.worker.parameters`."""

    model_config = ConfigDict(extra="forbid")

    margin: int = Field(default=10, ge=0, le=200)  # pixels of paper around the ink of a line
    max_skew: float = Field(default=3, ge=0, le=15)  # degrees by which a page may lie askew


class Found(BaseModel):
    """What is told of a volume, beside its artefacts: the Job has the schema of it."""

    pages: int = Field(ge=1)
    lines: int = Field(ge=0)


@worker.job("line-detection", parameters=Parameters)
def detect_lines(task: RunningTask, parameters: Parameters) -> Found:
    """Find the lines of all pages of a volume."""
    store = Store()
    prefix = f"images/{escape(task.volume.w_id)}/{escape(task.volume.i_id)}/"
    found = store.list_keys(task.bucket, prefix)
    keys = sorted(key for key in found if PurePosixPath(key).suffix in _IMAGES)
    pages = lines = 0
    for key in task.track(keys):
        image = store.get(task.bucket, key) or b""  # taken away since it was listed
        try:
            page = open_page(image)
        except UnreadableError as error:
            task.note_error(key, error)
            continue
        boxes = find_lines(page, parameters.max_skew, parameters.margin)
        described = {
            "width": page.width,
            "height": page.height,
            "lines": [asdict(box) for box in boxes],
        }
        task.write(f"{PurePosixPath(key).stem}.json", json.dumps(described))
        pages, lines = pages + 1, lines + len(boxes)
    if not pages:
        raise TerminalError(f"no page that can be read under s3://{task.bucket}/{prefix}")
    return Found(pages=pages, lines=lines)


def open_page(image: bytes) -> Image.Image:
    """Return a page; raises UnreadableError for what is no whole image."""
    try:
        page = Image.open(io.BytesIO(image))
        page.load()
    except _BROKEN as error:
        raise UnreadableError(str(error)) from None
    return page
