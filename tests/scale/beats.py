"""A few real workers that beat each second, in a process of their own, and time each call.

What a call takes is a measure of the operator's event loop from outside: it waits its turn there.
"""

import multiprocessing
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Self

import urllib3

from bec_operator.act.ground.api_server import bec, core
from bec_operator.api.names import JOB_LABEL
from tests.scale.fleet import LEFT_ALONE
from tests.scale.sides import POD
from tests.support.callers import CallingWorker
from tests.support.jobs import job, numbered
from tests.support.kube import Body, Kube
from tests.support.tokens import pod_token
from tests.support.waiting import until

NAME = "beats"  # of the Job whose pods they are
EVERY = 1.0  # seconds between two heartbeats of a worker
NAMESPACE = "default"


@dataclass(frozen=True)
class Took:
    """One heartbeat that was answered, in seconds; `late` is how late the machine let it begin."""

    seconds: float
    late: float


class Beats:
    """As a context: a Job of so many volumes, whose workers call until the end.

    What is not answered counts for nothing: the operator may be away. It has then to be asked for a
    session again, which is not timed.
    """

    def __init__(self, kube: Kube, bucket: str, url: str, workers: int = 10) -> None:
        self._kube = kube
        self._bucket = bucket
        self._url = url
        self._workers = workers
        context = multiprocessing.get_context("spawn")
        self._took: multiprocessing.Queue[Took] = context.Queue()
        self._end = context.Event()
        self._context = context

    def __enter__(self) -> Self:
        self._kube.create(bec(NAMESPACE, "jobs"), _spec(self._bucket, self._workers))
        pods = until(self._running, "the pods of the workers that beat run", timeout=120)
        tokens = {_task(pod): pod_token(self._kube, pod) for pod in pods}
        self._process = self._context.Process(
            target=_beat_all, args=(self._url, tokens, self._took, self._end), daemon=True
        )
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self.taken()  # what nobody reads would hold up its end
        self._process.join(30)
        self._kube.delete(bec(NAMESPACE, "jobs", NAME))

    def taken(self) -> list[Took]:
        """Return the heartbeats since the last look."""
        assert self._process.is_alive() or self._end.is_set(), "the workers that beat have ended"
        found: list[Took] = []
        try:
            while True:
                found.append(self._took.get_nowait())
        except queue.Empty:
            return found

    def _running(self) -> Sequence[Body]:
        found = self._kube.items(
            core(NAMESPACE, "pods"),
            labelSelector=f"{JOB_LABEL}={NAME}",
            fieldSelector="status.phase=Running",
        )
        return found if len(found) == self._workers else []


def _spec(bucket: str, workers: int) -> Body:
    template = {"metadata": {"annotations": {LEFT_ALONE: "true"}}, "spec": POD}
    volumes = numbered(workers)
    return job(
        NAME, bucket, volumes, worker={"template": template}, parallelism=workers, priority=1000
    )


def _task(pod: Body) -> str:
    return str(pod["metadata"]["ownerReferences"][0]["uid"])


def _beat_all(
    url: str, tokens: Mapping[str, str], took: "multiprocessing.Queue[Took]", end: Event
) -> None:
    """Beat with each token, by the UID of the task, in a thread of its own, out of step."""
    threads = []
    for number, (task, token) in enumerate(tokens.items()):
        worker = CallingWorker(url, token, {"task_uid": task, "attempt": 1})
        after = EVERY * number / len(tokens)
        threads.append(threading.Thread(target=_beat, args=(worker, after, took, end)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def _beat(
    worker: CallingWorker, after: float, took: "multiprocessing.Queue[Took]", end: Event
) -> None:
    known, pages = False, 0
    end.wait(after)
    while True:
        due = time.monotonic() + EVERY
        if end.wait(EVERY):
            return
        late = time.monotonic() - due
        pages += 1
        try:
            known = known or worker.register().status == 200
            began = time.monotonic()
            progress = {"done": pages, "total": 10**6, "unit": "pages"}
            answer = worker.report("heartbeat", progress=progress)
        except (urllib3.exceptions.HTTPError, ValueError):
            known = False  # it is away, or was while it answered
            continue
        known = answer.status == 200
        if known:
            took.put(Took(time.monotonic() - began, late))
