"""The worker of these tests: what it does to a volume, the volume's `i_id` says.

Each does 312 of 480 pages and waits for the object `go/{job_id}/{i_id}`, or to be stopped; then
`broken` fails, and the others do the rest. A second attempt neither waits nor fails. `overlong`
never comes to an end, and `greedy` takes 200 MB at once. Those called `part-…` wait for nothing;
one process of the Job does the first one that it gets, and fails all others.
"""

import functools
import itertools
import logging
import time
import uuid

from pydantic import BaseModel, ConfigDict

from bec_ops import worker
from bec_ops.contract.s3.store import Store
from bec_ops.running_task import RunningTask

log = logging.getLogger(__name__)

PAGES, STOP_AT = 480, 312
_parts = itertools.count()
GREED = 200_000_000


class Parameters(BaseModel):
    """What a Job may set."""

    model_config = ConfigDict(extra="forbid")

    dpi: int = 300


@worker.job("act", parameters=Parameters)
def act(task: RunningTask, parameters: Parameters) -> None:
    """Do a volume in its own way."""
    load_model(task.bucket, task.job_id)
    log.info("attempt %d at %s, %d dpi", task.attempt, task.volume, parameters.dpi)
    if task.volume.i_id.startswith("part-"):
        do_part(task)
        return
    if task.volume.i_id == "overlong":
        for _ in task.track(itertools.count()):
            time.sleep(0.1)
    if task.volume.i_id == "greedy":
        log.info("took %d bytes", len(bytearray(GREED)))
    for page in task.track(range(PAGES)):
        if page == STOP_AT and task.attempt == 1:
            await_go(task)
            if task.volume.i_id == "broken" and not task.should_stop:
                raise ValueError("page 7 is upside down")
    task.write("pages.txt", str(PAGES))


def do_part(task: RunningTask) -> None:
    """Do a volume in half a second, unless this process has done one and is broken since."""
    if is_poisoned(task.bucket, task.job_id) and next(_parts):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    time.sleep(0.5)
    task.write("pages.txt", str(PAGES))


@functools.cache
def is_poisoned(bucket: str, job_id: str) -> bool:
    """Whether this process is the one of the Job that breaks: the first, or the last of several."""
    store, key, me = Store(), f"poisoned/{job_id}", uuid.uuid4().hex
    if store.head(bucket, key) is None:
        store.put(bucket, key, me.encode())
        time.sleep(2.0)  # others may have come at the same moment
    return store.get(bucket, key) == me.encode()


@functools.cache
def load_model(bucket: str, job_id: str) -> None:
    """Leave a trace of each process that has loaded a model."""
    Store().put(bucket, f"loads/{job_id}/{uuid.uuid4()}", b"")


def await_go(task: RunningTask) -> None:
    """Wait until a test lets the task go on, or it is to stop."""
    store = Store()
    while store.head(task.bucket, f"go/{task.job_id}/{task.volume.i_id}") is None:
        if task.should_stop:
            return
        time.sleep(0.1)
