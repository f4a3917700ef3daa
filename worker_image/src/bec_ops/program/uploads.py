"""What is uploaded of a program once it has ended: its output folder, as it is then."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from bec_ops.contract.errors import RetryableError
from bec_ops.runtime.attempt import Attempt
from bec_ops.runtime.snapshot import difference, files_in

_UPLOADS = 8  # at once


def upload_folder(attempt: Attempt, folder: Path) -> None:
    """Upload all files of a folder as they are now, by their paths in it; raises the first error.

    Raises RetryableError if anything in it changes meanwhile.
    """
    files, given_up = files_in(folder), threading.Event()

    def go_on(moved: int) -> None:
        del moved
        if given_up.is_set():
            raise RetryableError("given up, as another one could not be written")

    def upload(name: str) -> None:
        attempt.output.upload(name, folder / name, watch=go_on)

    with ThreadPoolExecutor(_UPLOADS) as pool:
        try:
            for future in as_completed([pool.submit(upload, name) for name in files]):
                future.result()
                attempt.meter.note_activity()
                attempt.stop.check()
        except BaseException:
            given_up.set()
            pool.shutdown(cancel_futures=True)
            raise
    if changed := difference(files, files_in(folder)):
        raise RetryableError(
            f"the output folder changed while it was uploaded: {changed}; let whatever writes "
            "there end before the program does"
        )
