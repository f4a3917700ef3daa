"""Something to do for one job: each action is small, and doing it twice changes nothing."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """What an action is about. No two with the same key are under way at once."""

    kind: str
    about: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for one job."""

    @property
    def key(self) -> Key:
        """What the action is about."""
        return Key(type(self).__name__, self._about())

    def _about(self) -> tuple[Hashable, ...]:
        return ()
