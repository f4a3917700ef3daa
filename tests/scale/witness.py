"""Sees every pod and every VolumeTask there is, by watches of its own: what really happened."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bec_operator.act.api_server import bec, core
from bec_operator.api.names import JOB_LABEL, TASK_LABEL
from tests.support.kube import Body, Kube, Watch

_LIFETIME = 4 * 3600.0  # seconds, longer than any run
_ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class PodRecord:
    """One pod that there was: its job, its task, and its name, which has the attempt's number."""

    job: str
    task: str
    name: str


@dataclass
class _Line:
    """One kind of object, followed in a thread of its own; `version` is how far."""

    path: str
    query: dict[str, str]
    take_in: Callable[[str, Body], None]
    version: str = ""
    watch: Watch | None = None
    thread: threading.Thread | None = None


@dataclass
class Witness:
    """As a context: from its start on it sees all pods of tasks, and all VolumeTasks.

    The events come in the order in which things happened, and none is left out: the API server ends
    a watch that does not keep up, and then the next one goes on right after the last event; where
    that cannot be, it is an error. `most` is by job how many pods were alive at once, `attempts`
    the failure class of each attempt that was recorded as failed, by the UID of its pod.
    """

    kube: Kube
    pods: dict[str, PodRecord] = field(default_factory=dict)
    most: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    attempts: dict[str, str] = field(default_factory=dict)
    _live: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _lines: list[_Line] = field(default_factory=list)
    _unseen: list[str] = field(default_factory=list)
    _stopping: bool = False

    def __enter__(self) -> Self:
        self._lines = [
            _Line(core(None, "pods"), {"labelSelector": TASK_LABEL}, self._see_pod),
            _Line(bec(None, "volumetasks"), {}, self._see_task),
        ]
        for line in self._lines:
            found = self.kube.get(line.path, **line.query)
            assert not found["items"], f"{line.path}: some came before their witness"
            line.version = found["metadata"]["resourceVersion"]
            line.thread = threading.Thread(target=self._follow, args=(line,), daemon=True)
            line.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        for line in self._lines:
            if line.watch is not None:
                line.watch.close()
            if line.thread is not None:
                line.thread.join()
        if error is None:
            self._check()

    def count(self) -> int:
        """Return how many pods there were so far."""
        self._check()
        return len(self.pods)

    def _check(self) -> None:
        assert not self._unseen, f"nobody saw what happened: {self._unseen}"

    def _follow(self, line: _Line) -> None:
        try:
            while not self._stopping:
                query = {**line.query, "resourceVersion": line.version}
                with self.kube.watch(line.path, _LIFETIME, query) as line.watch:
                    self._take_in(line, line.watch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must fail with it
            self._unseen.append(f"{line.path}: {error!r}")

    def _take_in(self, line: _Line, watch: Watch) -> None:
        if self._stopping:
            return
        for event in watch:
            if event["type"] == "ERROR":
                raise RuntimeError(event["object"])
            line.take_in(event["type"], event["object"])
            line.version = event["object"]["metadata"]["resourceVersion"]

    def _see_pod(self, kind: str, pod: Body) -> None:
        meta = pod["metadata"]
        uid, labels = meta["uid"], meta["labels"]
        job = labels[JOB_LABEL]
        self.pods.setdefault(uid, PodRecord(job, labels[TASK_LABEL], meta["name"]))
        live = self._live[job]
        if kind == "DELETED" or pod.get("status", {}).get("phase") in _ENDED:
            live.discard(uid)
        else:
            live.add(uid)
        self.most[job] = max(self.most[job], len(live))

    def _see_task(self, kind: str, task: Body) -> None:
        del kind
        self.note_attempts((task.get("status") or {}).get("attempts") or [])

    def note_attempts(self, attempts: list[Body]) -> None:
        """Take in what is on record of a task's attempts."""
        for attempt in attempts:
            if attempt.get("failure"):
                self.attempts[attempt.get("podUid", "")] = attempt["failure"]
