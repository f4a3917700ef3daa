"""Follows a kind of object from one moment on, and misses nothing that happens to it."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.kube import Body, Kube, Watch

_LIFETIME = 4 * 3600.0  # seconds, longer than any run


class Following:
    """One kind of object, followed in a thread of its own until `stop`.

    `take_in` gets the type and the object of each event, in the order in which things happened.
    None is left out: the API server ends a watch that does not keep up, and then the next one goes
    on right after the last event; where that cannot be, `lost` says why. No object may be there
    before.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        take_in: Callable[[str, Body], Any],
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.lost = ""
        self._kube = kube
        self._path = path
        self._take_in = take_in
        self._query = dict(query or {})
        self._stopping = False
        found = kube.get(path, **self._query)
        assert not found["items"], f"{path}: some came before their witness"
        self._version = found["metadata"]["resourceVersion"]
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no further."""
        self._stopping = True
        if self._watch is not None:
            self._watch.close()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._stopping:
                query = {**self._query, "resourceVersion": self._version}
                with self._kube.watch(self._path, _LIFETIME, query) as self._watch:
                    self._read(self._watch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must fail with it
            self.lost = f"{self._path}: {error!r}"

    def _read(self, watch: Watch) -> None:
        if self._stopping:
            return
        for event in watch:
            if event["type"] == "ERROR":
                raise RuntimeError(event["object"])
            self._take_in(event["type"], event["object"])
            self._version = event["object"]["metadata"]["resourceVersion"]
