"""How long a slot stays empty: from the end of one pod to the beginning of the next."""

import statistics
import threading
import time
from types import TracebackType
from typing import Self

from bec_operator.act.ground.api_server import core
from tests.support.kube import Body, Kube

_LIFETIME = 3600.0
_ENDED = {"Succeeded", "Failed"}


class Slots:
    """As a context: sees when pods of a label are made, and when they end.

    With so many `at_once` the first pods need no slot of another; each later one takes that of the
    one that ended first of those whose slot is not yet taken.
    """

    def __init__(self, kube: Kube, label: str, at_once: int) -> None:
        self._kube, self._label, self._at_once = kube, label, at_once
        self._made: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def __enter__(self) -> Self:
        path = core(None, "pods")
        version = self._kube.get(path, limit="1")["metadata"]["resourceVersion"]
        query = {"labelSelector": self._label, "resourceVersion": version}
        self._watch = self._kube.watch(path, _LIFETIME, query)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.close()
        self._thread.join()

    def _follow(self) -> None:
        for event in self._watch:
            self._see(event["type"], event["object"], time.monotonic())

    def _see(self, kind: str, pod: Body, now: float) -> None:
        uid = pod["metadata"]["uid"]
        if kind != "DELETED":
            self._made.setdefault(uid, now)
        if kind == "DELETED" or pod.get("status", {}).get("phase") in _ENDED:
            self._ended.setdefault(uid, now)

    def figures(self) -> Body:
        """Return for how long slots were empty, in milliseconds."""
        made = sorted(self._made.values())[self._at_once :]
        waits = [1000 * (b - a) for a, b in zip(sorted(self._ended.values()), made, strict=False)]
        cuts = statistics.quantiles(waits, n=100)
        return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}
