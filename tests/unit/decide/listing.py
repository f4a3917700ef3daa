"""The list of the Job's volumes, as its user keeps it: inline, in S3, or in a ConfigMap."""

from collections.abc import Sequence
from typing import Literal

from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_api import Object, Objects
from tests.unit.decide.fake_s3 import FakeStore

Kind = Literal["items", "manifest", "configMap"]
MORE = 12  # volumes that may come to a list at most
LIST_KEY = "lists/volumes.csv"
LIST_MAP = "my-volumes"
BAD: list[bytes | None] = [None, b"W,I0\nW\n", b"W,I0\nW,I0\n"]


def volume(number: int) -> Volume:
    """Return the volume of a number. Volumes come to the list in the order of their numbers."""
    return Volume("W", f"I{number}")


class VolumeList:
    """What the list says now: `members` in its order; `made` is how many it ever named.

    `bad` is what stands in its place, None for nothing, while `is_bad`.
    """

    def __init__(self, kind: Kind, volumes: int, objects: Objects, store: FakeStore) -> None:
        self.kind = kind
        self.members = list(range(volumes))
        self.made = volumes
        self.is_bad = False
        self._bad: bytes | None = None
        self._objects = objects
        self._store = store
        self.publish()

    def source(self) -> Object:
        """Return `spec.volumes` of the Job."""
        if self.kind == "items":
            named = [volume(number) for number in self.members]
            return {"items": [{"wId": v.w_id, "iId": v.i_id} for v in named]}
        if self.kind == "manifest":
            return {"manifest": {"uri": f"s3://bec/{LIST_KEY}"}}
        return {"configMap": {"name": LIST_MAP, "key": "list"}}

    def change(self, members: Sequence[int]) -> None:
        """Let it name other volumes, in another order, or more."""
        self.members = list(members)
        self.made = max(self.made, max(members) + 1)
        self.is_bad = False
        self.publish()

    def go_bad(self, body: bytes | None) -> None:
        """Let something stand there that is no list; None is nothing at all."""
        self.is_bad, self._bad = True, body
        self.publish()

    def heal(self) -> None:
        """Let it be what it was."""
        self.change(self.members)

    def start_anew(self) -> None:
        """Name all volumes that there ever were, in their order."""
        self.change(range(self.made))

    def publish(self) -> None:
        """Write it where the operator reads it; inline volumes stand in their Job."""
        text = "".join(f"{v.w_id},{v.i_id}\n" for v in map(volume, self.members)).encode()
        body = self._bad if self.is_bad else text
        if self.kind == "manifest":
            self._store.read.discard(LIST_KEY)
            self._store.objects.pop(LIST_KEY, None)
            if body is not None:
                self._store.objects[LIST_KEY] = body
        elif self.kind == "configMap":
            data = {"list": body.decode() if body is not None else None}
            if self._objects.get("configmaps", LIST_MAP) is None:
                self._objects.create("configmaps", {"metadata": {"name": LIST_MAP}, "data": data})
            else:
                self._objects.patch("configmaps", LIST_MAP, {"data": data})

    @property
    def was_read(self) -> bool:
        """Whether it was read since it last changed, where that can be told."""
        return LIST_KEY in self._store.read

    def note_loss(self) -> None:
        """Take in that an operator ended, or lost an answer: what it read is forgotten."""
        self._store.read.clear()
