"""The OCR worker: reads the page images of a volume with Tesseract.

Input are the images under `images/{w_id}/{i_id}/` of the job's bucket. Output are a text file a
page, and `volume.json` with what was done. A page that is no image is listed in the marker, and
its volume succeeds without it; a volume of which no page can be read has failed for good.

Where the lines of text are, Tesseract finds out by itself, or another job has done so: then each
line is read by itself, from the box that examples/line_detection wrote for the same volume.
"""

import io
import json
import logging
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from bec_ops import MisconfiguredError, TerminalError, worker
from bec_ops.dependency import Dependency
from bec_ops.location import escape
from bec_ops.running_task import RunningTask
from bec_ops.store import Store
from bec_ops.volume import Volume

log = logging.getLogger(__name__)

# A page lit from one side has no one threshold for all of its ink: Sauvola's method looks at the
# surroundings, here in a window of 0.6 inches, which holds a line of text or two.
_THRESHOLDING = ("-c", "thresholding_method=2", "-c", "thresholding_window_size=0.6")
_LINE_BY_LINE = ("--psm", "7", "-c", "page_separator=")
_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


class Parameters(BaseModel):
    """What a job may set under `spec.worker.parameters`."""

    model_config = ConfigDict(extra="forbid")

    languages: str = Field(default="bod+eng", pattern=r"^\w+(\+\w+)*$")
    dpi: int = Field(default=300, ge=70, le=2400)
    lines: str = ""  # the id of a line detection job under dependsOn; else whole pages are read


class Box(BaseModel):
    """A line of text on a page, in pixels."""

    x: int
    y: int
    width: int
    height: int


class PageLines(BaseModel):
    """What line detection wrote of a page."""

    width: int
    height: int
    lines: list[Box]


class UnreadableError(Exception):
    """This page will never be read."""


def images_prefix(volume: Volume) -> str:
    """Return where a volume's page images are, the same for each version."""
    return f"images/{escape(volume.w_id)}/{escape(volume.i_id)}/"


@worker.job("ocr", parameters=Parameters)
def ocr(task: RunningTask, parameters: Parameters) -> None:
    """Read all pages of a volume."""
    check_languages(parameters.languages)
    lines = task.dependency(parameters.lines) if parameters.lines else None
    store, prefix = Store(), images_prefix(task.volume)
    found = store.list_keys(task.bucket, prefix)
    keys = sorted(key for key in found if PurePosixPath(key).suffix in _IMAGES)
    pages = []
    for key in task.track(keys):
        try:
            pages.append(read_page(task, parameters, store, lines, key))
        except UnreadableError as error:
            task.note_error(key, error)
    if not pages:
        raise TerminalError(f"no page that can be read under s3://{task.bucket}/{prefix}")
    summary = {
        "job_id": task.job_id,
        "volume": task.volume._asdict(),
        "parameters": parameters.model_dump(),
        "pages": pages,
    }
    task.write("volume.json", json.dumps(summary, ensure_ascii=False, indent=1))


def read_page(
    task: RunningTask, parameters: Parameters, store: Store, lines: Dependency | None, key: str
) -> dict[str, Any]:
    """Read one page, write its text, and say what was read."""
    begun = time.monotonic()
    image = store.get(task.bucket, key) or b""  # taken away since it was listed
    page = PurePosixPath(key).stem
    if lines is None:
        text, found = recognize(parameters, "stdin", image), {}
    else:
        boxes = boxes_of(lines, f"{page}.json")
        text, found = (
            read_lines(task.work_dir, parameters, image, boxes),
            {"lines": len(boxes.lines)},
        )
    name = f"{page}.txt"
    task.write(name, text)
    return {
        "image": key,
        "text": name,
        **found,
        "words": len(text.split()),
        "characters": len(text),
        "seconds": round(time.monotonic() - begun, 2),
    }


def boxes_of(lines: Dependency, name: str) -> PageLines:
    """Return the lines of a page; line detection has none of one that it could not read."""
    try:
        return PageLines.model_validate_json(lines.read(name))
    except TerminalError as error:
        raise UnreadableError(str(error)) from None


def read_lines(work_dir: Path, parameters: Parameters, image: bytes, found: PageLines) -> str:
    """Return the text of a page, read line by line."""
    if not found.lines:
        return ""
    try:
        page = Image.open(io.BytesIO(image)).convert("L")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError(str(error)) from None
    if page.size != (found.width, found.height):
        raise UnreadableError(
            f"the page has {page.width} x {page.height} pixels, and had {found.width} x "
            f"{found.height} when its lines were found"
        )
    with tempfile.TemporaryDirectory(dir=work_dir) as folder:
        files = []
        for number, box in enumerate(found.lines):
            files.append(Path(folder, f"{number}.pgm"))
            page.crop((box.x, box.y, box.x + box.width, box.y + box.height)).save(files[-1])
        # All lines by one process: most of a line's time would be for reading the models.
        listed = Path(folder, "lines.txt")
        listed.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
        return recognize(parameters, str(listed), b"", *_LINE_BY_LINE)


def recognize(parameters: Parameters, source: str, image: bytes, *more: str) -> str:
    """Return what Tesseract reads in `image` if the source is ``stdin``, else in that file."""
    options = ("-l", parameters.languages, "--dpi", str(parameters.dpi), *_THRESHOLDING, *more)
    command = ("tesseract", source, "stdout", *options)
    done = subprocess.run(command, input=image, capture_output=True, check=False)
    if done.returncode < 0:  # a signal, such as the kernel's for too much memory: not the image's
        done.check_returncode()
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UnreadableError(f"Tesseract ends with {done.returncode}: {said}")
    return done.stdout.decode()


@cache
def check_languages(wanted: str) -> None:
    """See that Tesseract has the languages; raises MisconfiguredError."""
    command = ("tesseract", "--list-langs")
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    known = listed.splitlines()[1:]  # the first line is a heading
    if missing := set(wanted.split("+")).difference(known):
        raise MisconfiguredError(
            f"parameters.languages: this image has no {' or '.join(sorted(missing))}; "
            f"it has {', '.join(known)}"
        )
    log.info("Tesseract reads %s", wanted)
