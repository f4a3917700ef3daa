"""The actions that are under way, and those that hit on a fault."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from bec_operator.decide.sight.action import Action, Key
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.reasons import INTERNAL_ERROR

A = TypeVar("A", bound=Action)

_UNREADABLE = ("Unreadable",)  # what is said under this key of objects that cannot be read


@dataclass(slots=True)
class UnderWay:
    """What is being done for a job now, and in what a fault of ours was hit on."""

    faults: dict[Hashable, Fact] = field(default_factory=dict)
    _actions: dict[str, dict[Key, Action]] = field(default_factory=dict)

    def begin(self, action: Action) -> None:
        """Take in that an action is under way."""
        key = action.key
        self._actions.setdefault(key.kind, {})[key] = action

    def end(self, action: Action) -> None:
        """Take in that it is no more."""
        key = action.key
        of_kind = self._actions.get(key.kind, {})
        of_kind.pop(key, None)
        if not of_kind:
            self._actions.pop(key.kind, None)

    def of(self, kind: type[A]) -> Collection[A]:
        """Return those of a kind."""
        return cast("Collection[A]", self._actions.get(kind.__name__, {}).values())

    def has(self, key: Key) -> bool:
        """Whether an action with this key is under way."""
        return key in self._actions.get(key.kind, ())

    def __len__(self) -> int:
        """Return how many are."""
        return sum(map(len, self._actions.values()))

    def note_fault(self, key: Key, fact: Fact) -> None:
        """Take in that an action hit on a fault of ours."""
        self.faults[key] = fact

    def forget_fault(self, key: Key) -> None:
        """Take in that it went well, or is not wanted any more."""
        self.faults.pop(key, None)

    def note_unreadable(self, said: str, now: float) -> None:
        """Take in what is to be said of objects of this job that cannot be read; empty: all can."""
        if not said:
            self.faults.pop(_UNREADABLE, None)
        elif _UNREADABLE not in self.faults:
            self.faults[_UNREADABLE] = Fact(now, INTERNAL_ERROR, said)
