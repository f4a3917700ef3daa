"""The archive's OCR worker: reads the volumes of an archive that is laid out as BDRC's.

A volume is the folder of an image group. `dimensions.json` in it lists the pages, in their order,
and the images stand beside it. Its version is the beginning of the ETag of `dimensions.json`: if
that is another by now, the volume has failed for good, since what would be read is not what was
asked for. Each page is read as in the OCR example, whose image this one stands on.
"""

import time
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from bec_ops import TerminalError, worker
from bec_ops.running_task import RunningTask
from bec_ops.store import Store
from examples.bdrc.folders import DIMENSIONS, BadDimensionsError, folder_of, pages_of
from examples.ocr import worker as ocr


class Parameters(BaseModel):
    """What a job may set under `spec.worker.parameters`."""

    model_config = ConfigDict(extra="forbid")

    archive: str = Field(min_length=3, max_length=63)  # the bucket that the images are in
    languages: str = Field(default="bod+eng", pattern=r"^\w+(\+\w+)*$")
    dpi: int = Field(default=300, ge=70, le=2400)


@worker.job("archive-ocr", parameters=Parameters)
def archive_ocr(task: RunningTask, parameters: Parameters) -> None:
    """Read all pages of a volume that `dimensions.json` lists."""
    ocr.check_languages(parameters.languages)
    reading = ocr.Parameters(languages=parameters.languages, dpi=parameters.dpi)
    store, folder = Store(), folder_of(task.volume)
    begun, read = time.monotonic(), 0
    for page in task.track(listed_pages(store, task, parameters.archive, folder)):
        image = store.get(parameters.archive, folder + page)
        if image is None:
            task.note_error(page, f"{DIMENSIONS} lists it, and it is not there")
            continue
        try:
            text = ocr.recognize(reading, "stdin", image)
        except ocr.UnreadableError as error:
            task.note_error(page, error)
            continue
        task.write(f"{PurePosixPath(page).stem}.txt", text)
        read += 1
    if not read:
        raise TerminalError(f"no page that can be read under s3://{parameters.archive}/{folder}")
    task.details(seconds_a_page=round((time.monotonic() - begun) / read, 2))


def listed_pages(store: Store, task: RunningTask, archive: str, folder: str) -> list[str]:
    """Return the names of the pages of the task's version of a volume."""
    key = folder + DIMENSIONS
    packed, found = store.get(archive, key), store.head(archive, key)
    if packed is None or found is None:
        raise TerminalError(f"there is no s3://{archive}/{key}")
    wanted = task.volume.i_version
    if wanted and not found.etag.startswith(wanted):
        raise TerminalError(
            f"s3://{archive}/{key} has changed since: version {wanted} is asked for, and its ETag "
            f"is {found.etag}"
        )
    try:
        return pages_of(packed)
    except BadDimensionsError as error:
        raise TerminalError(f"s3://{archive}/{key} {error}") from None
