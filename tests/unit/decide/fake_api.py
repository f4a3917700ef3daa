"""An API server in memory: objects, their versions, and all changes for those who watch."""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bec_operator.act.ground.api_server import ApiError
from bec_operator.decide.sight.moments import iso

Object = dict[str, Any]
NAMESPACE = "bec"
ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object, as a watch tells it."""

    plural: str
    type: str
    object: Object


class Objects:
    """All objects of one namespace. Those handed out are never changed afterwards."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._objects: dict[tuple[str, str], Object] = {}
        self._now = now
        self._uids = itertools.count(1)
        self.version = 0
        self.changes: list[Change] = []

    def get(self, plural: str, name: str) -> Object | None:
        """Return one object."""
        return self._objects.get((plural, name))

    def all(self, plural: str) -> list[Object]:
        """Return all objects of a kind, in the order of their making."""
        return [found for (kind, _), found in self._objects.items() if kind == plural]

    def selected(self, plural: str, selector: str) -> list[Object]:
        """Return the objects of a kind that a label selector says; all, if it says nothing."""
        return [found for found in self.all(plural) if selects(selector, found)]

    def create(self, plural: str, body: Object) -> Object:
        """Make an object; its name must be free."""
        name = body["metadata"]["name"]
        if (plural, name) in self._objects:
            raise ApiError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        meta = {
            **body["metadata"],
            "namespace": NAMESPACE,
            "uid": f"{plural}-{next(self._uids)}",
            "generation": 1,
            "creationTimestamp": iso(self._now()),
        }
        return self._store(plural, "ADDED", {**body, "metadata": meta})

    def put(self, plural: str, name: str, body: Object) -> Object:
        """Replace an object, if it still has the version that `body` names."""
        found = self._found(plural, name)
        self._check_version(found, body["metadata"])
        meta = {**found["metadata"], **body["metadata"]}
        return self._store(plural, "MODIFIED", {**found, **body, "metadata": meta})

    def patch(self, plural: str, name: str, patch: Object) -> Object:
        """Merge `patch` into an object; UID and version in it are conditions."""
        found = self._found(plural, name)
        meta = patch.get("metadata", {})
        self._check_version(found, meta)
        if meta.get("uid", found["metadata"]["uid"]) != found["metadata"]["uid"]:
            raise ApiError(409, "Conflict", "Precondition failed: UID in precondition")
        merged: Object = merge(found, {k: v for k, v in patch.items() if k != "metadata"})
        if "annotations" in meta:
            notes = {"annotations": meta["annotations"]}
            merged["metadata"] = merge(found["metadata"], notes)
        if plural == "pods":
            _merge_conditions(merged, found, patch)
        if merged == found:
            return found  # nothing is written
        return self._store(plural, "MODIFIED", merged)

    def edit(self, plural: str, name: str, spec: Object) -> Object:
        """Change a spec as its user does: it is a new generation."""
        found = self._found(plural, name)
        generation = found["metadata"]["generation"] + 1
        meta = {**found["metadata"], "generation": generation}
        return self._store(plural, "MODIFIED", {**merge(found, {"spec": spec}), "metadata": meta})

    def delete(self, plural: str, name: str, uid: str = "", *, force: bool = False) -> Object:
        """Delete an object; a pod that runs on a node takes its grace, but for `force`."""
        found = self._found(plural, name)
        if uid not in {"", found["metadata"]["uid"]}:
            raise ApiError(409, "Conflict", "Precondition failed: UID in precondition")
        if plural == "pods" and found["spec"].get("nodeName") and _runs(found) and not force:
            return self.mark_deleting(name)
        return self.remove(plural, name)

    def mark_deleting(self, pod: str) -> Object:
        """Ask the kubelet to end a pod."""
        found = self._found("pods", pod)
        if "deletionTimestamp" in found["metadata"]:
            return found
        meta = {**found["metadata"], "deletionTimestamp": iso(self._now())}
        return self._store("pods", "MODIFIED", {**found, "metadata": meta})

    def remove(self, plural: str, name: str) -> Object:
        """Take an object away at once."""
        found = self._objects.pop((plural, name))
        self.version += 1
        meta = {**found["metadata"], "resourceVersion": str(self.version)}
        gone = {**found, "metadata": meta}
        self.changes.append(Change(plural, "DELETED", gone))
        return gone

    def _found(self, plural: str, name: str) -> Object:
        found = self._objects.get((plural, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{plural} "{name}" not found')
        return found

    def _check_version(self, found: Object, meta: Object) -> None:
        wanted = meta.get("resourceVersion")
        if wanted is not None and wanted != found["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")

    def _store(self, plural: str, how: str, made: Object) -> Object:
        self.version += 1
        meta = {**made["metadata"], "resourceVersion": str(self.version)}
        made = {**made, "metadata": meta}
        self._objects[plural, meta["name"]] = made
        self.changes.append(Change(plural, how, made))
        return made

    def answer(
        self, method: str, path: str, body: Object | None, query: Mapping[str, str]
    ) -> Object:
        """Answer one request as the API server does."""
        plural, name = address(path)
        if method == "GET":
            return self._found(plural, name) if name else self._listed(plural, query)
        if plural == "events" or "dryRun" in query:
            return body or {}
        if method == "DELETE":
            options = body or {}
            uid = options.get("preconditions", {}).get("uid", "")
            gone = self.delete(plural, name, uid, force=options.get("gracePeriodSeconds") == 0)
            return gone if plural == "pods" else {"kind": "Status"}
        assert body is not None
        if method == "POST":
            return self.create(plural, body)
        return (self.put if method == "PUT" else self.patch)(plural, name, body)

    def _listed(self, plural: str, query: Mapping[str, str]) -> Object:
        items = self.selected(plural, query.get("labelSelector", ""))
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}


def selects(selector: str, found: Object) -> bool:
    """Whether a label selector means an object."""
    labels = found["metadata"].get("labels", {})
    conditions = re.findall(r"[^,(]+(?:\([^)]*\))?", selector)
    return all(_has(labels, condition) for condition in conditions)


def _has(labels: Mapping[str, str], condition: str) -> bool:
    """Whether labels fulfil one condition of a selector: `a`, `a=b` or `a in (b,c)`."""
    label, among, values = condition.partition(" in ")
    if among:
        return labels.get(label) in values.strip("()").split(",")
    label, equals, value = condition.partition("=")
    return labels.get(label) == value if equals else label in labels


def merge(into: Any, patch: Any) -> Any:
    """Return `into` after a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(into) if isinstance(into, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _merge_conditions(merged: Object, found: Object, patch: Object) -> None:
    """Merge the conditions of a pod by their types, as a strategic merge patch does."""
    told = (patch.get("status") or {}).get("conditions") or []
    known = (found.get("status") or {}).get("conditions") or []
    by_type = {condition["type"]: condition for condition in known}
    for condition in told:
        by_type[condition["type"]] = {**by_type.get(condition["type"], {}), **condition}
    if by_type:
        merged["status"] = {**merged["status"], "conditions": list(by_type.values())}


def address(path: str) -> tuple[str, str]:
    """Return the kind and, where there is one, the name that a path is about."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest[0] == "namespaces":
        rest = rest[2:]
    return rest[0], rest[1] if len(rest) > 1 else ""


def owner_uid(found: Object) -> str:
    """Return the UID of the object that `found` belongs to."""
    owners = found["metadata"].get("ownerReferences") or [{"uid": ""}]
    return str(owners[0]["uid"])


def _runs(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase", "Pending") not in ENDED
