"""Objects that cannot be read: each concerns the Job that it belongs to, and nobody else."""

import logging
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from bec_operator.act.ground.faults import kind_and_place, log_fault
from bec_operator.act.ground.key import Key
from bec_operator.metrics import UNREADABLE

log = logging.getLogger(__name__)

_REMEMBERED = 100  # objects of one Job; more say nothing new


class Unreadable:
    """Why objects cannot be read, by their Job and their UID. `changed` is told which Job has news.

    What is wrong is found by our own code, so an object of which this is said shows a fault of
    ours; it is read again when it changes, and when its kind is listed anew.
    """

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._found: dict[Key, dict[str, tuple[str, str]]] = {}  # kind, and the sentence

    def of_job(self, job: Key) -> str:
        """Return what is to be said of the objects of a Job; empty if all can be read."""
        found = self._found.get(job)
        if not found:
            return ""
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return next(iter(found.values()))[1] + more

    def any_of(self, kind: str) -> bool:
        """Whether any object of a kind cannot be read."""
        return any(kind == what for found in self._found.values() for what, _ in found.values())

    def forget(self, uid: str) -> None:
        """Take in that an object can be read, or is gone."""
        for key, found in list(self._found.items()) if self._found else ():
            if found.pop(uid, None) is not None:  # it may have been another's before
                if not found:
                    del self._found[key]
                self._changed(key)

    def keep(self, kind: str, namespace: str | None, uids: Set[str]) -> None:
        """Take in which objects of a kind there are, in a namespace or (None) in all."""
        for (where, _), found in list(self._found.items()):
            if namespace in {None, where}:
                for uid in [uid for uid, (what, _) in found.items() if what == kind]:
                    if uid not in uids:
                        self.forget(uid)

    @contextmanager
    def reading(self, kind: str, job: str, meta: Mapping[str, Any]) -> Iterator[None]:
        """Read an object within, of a kind such as `pods`; what goes wrong is noted and logged."""
        key, uid = (meta["namespace"], job), meta["uid"]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this object alone
            found = self._found.setdefault(key, {})
            if uid in found or len(found) >= _REMEMBERED:
                return
            where = f"{kind} {meta['namespace']}/{meta['name']}"
            log_fault(log, error, f"reading {where}")
            UNREADABLE.labels(kind).inc()
            found[uid] = (kind, f"{where} cannot be read: {kind_and_place(error)}")
            self._changed(key)
        else:
            self.forget(uid)
