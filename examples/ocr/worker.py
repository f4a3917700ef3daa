"""The OCR worker: reads one volume's page images with Tesseract, then ends.

Input are the images under `images/{w_id}/{i_id}/` of the job's bucket. Output are a text file a
page, `volume.json` with what was done, and last of all the success marker. It exits 65 if the
volume can never be read, 75 if S3 should be asked again later, 78 if the job is set up wrongly.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bec_ops.location import escape
from bec_ops.marker import MARKER_NAME
from bec_ops.store import Store, StoreError
from bec_ops.task import Task, TaskError
from bec_ops.volume import Volume

# A page lit from one side has no one threshold for all of its ink: Sauvola's method looks at the
# surroundings, here in a window of 0.6 inches, which holds a line of text or two.
_THRESHOLDING = ("-c", "thresholding_method=2", "-c", "thresholding_window_size=0.6")
_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


class Parameters(BaseModel):
    """What a job may set under `spec.worker.parameters`."""

    model_config = ConfigDict(extra="forbid")

    languages: str = Field(default="bod+eng", pattern=r"^\w+(\+\w+)*$")
    dpi: int = Field(default=300, ge=70, le=2400)


class UnreadableError(Exception):
    """Trying again would change nothing: there is no page, or one is not an image."""


def images_prefix(volume: Volume) -> str:
    """Return where a volume's page images are, the same for each version."""
    return f"images/{escape(volume.w_id)}/{escape(volume.i_id)}/"


def main() -> int:
    """Run the task that the environment describes, and return the exit code."""
    try:
        task = Task.from_environment()
        parameters = Parameters.model_validate(task.parameters)
        _check_languages(parameters.languages)
        read_volume(task, parameters, Store())
    except (TaskError, ValidationError) as error:
        return _complain(os.EX_CONFIG, error)
    except UnreadableError as error:
        return _complain(os.EX_DATAERR, error)
    except StoreError as error:
        return _complain(os.EX_TEMPFAIL, error)
    return os.EX_OK


def read_volume(task: Task, parameters: Parameters, store: Store) -> None:
    """Read all pages, and write the marker once everything else is written."""
    prefix = images_prefix(task.volume)
    keys = sorted(
        key for key in store.list_keys(task.bucket, prefix) if PurePosixPath(key).suffix in _IMAGES
    )
    if not keys:
        raise UnreadableError(f"no page images under s3://{task.bucket}/{prefix}")
    pages = []
    for number, key in enumerate(keys, start=1):
        pages.append(read_page(task, parameters, store, key))
        print(f"{number}/{len(keys)} pages", flush=True)
    summary = {
        "job_id": task.job_id,
        "volume": task.volume._asdict(),
        "parameters": parameters.model_dump(),
        "pages": pages,
    }
    body = json.dumps(summary, ensure_ascii=False, indent=1).encode()
    store.put(task.bucket, f"{task.prefix}volume.json", body, "application/json")
    marker = task.marker(total_images=len(pages)).dump()
    store.put(task.bucket, task.prefix + MARKER_NAME, marker, "application/json")


def read_page(task: Task, parameters: Parameters, store: Store, key: str) -> dict[str, Any]:
    """Read one page, write its text, and say what was read."""
    begun = time.monotonic()
    image = store.get(task.bucket, key)
    if image is None:
        raise UnreadableError(f"s3://{task.bucket}/{key} was listed and is gone")
    text = _recognise(image, parameters, key)
    name = f"{PurePosixPath(key).stem}.txt"
    store.put(task.bucket, task.prefix + name, text, "text/plain; charset=utf-8")
    return {
        "image": key,
        "text": name,
        "words": len(text.split()),
        "characters": len(text.decode()),
        "seconds": round(time.monotonic() - begun, 2),
    }


def _recognise(image: bytes, parameters: Parameters, key: str) -> bytes:
    """Return the text of an image in UTF-8."""
    options = ("-l", parameters.languages, "--dpi", str(parameters.dpi), *_THRESHOLDING)
    command = ("tesseract", "stdin", "stdout", *options)
    done = subprocess.run(command, input=image, capture_output=True, check=False)
    if done.returncode < 0:  # a signal, such as the kernel's for too much memory: not the image's
        done.check_returncode()
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise UnreadableError(f"Tesseract cannot read {key} (exit {done.returncode}): {said}")
    return done.stdout


def _check_languages(wanted: str) -> None:
    listed = subprocess.run(("tesseract", "--list-langs"), capture_output=True, check=True).stdout
    known = listed.decode().split("\n")[1:]  # the first line is a heading
    missing = [name for name in wanted.split("+") if name not in known]
    if missing:
        raise TaskError(
            f"parameters.languages: this image has no {' or '.join(missing)}; "
            f"it has {', '.join(name for name in known if name)}"
        )


def _complain(code: int, error: Exception) -> int:
    # The last of what a failed container says becomes its termination message.
    print(error, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
