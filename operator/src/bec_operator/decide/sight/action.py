"""Something to do for one job: each action is small, and doing it twice changes nothing."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import ClassVar, NamedTuple


class Key(NamedTuple):
    """What an action is about. No two with the same key are under way at once."""

    kind: str
    about: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for one job. `ABOUT` names what of it tells it from others of its kind."""

    ABOUT: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> Key:
        """What the action is about."""
        return Key(type(self).__name__, tuple([_getter(name)(self) for name in self.ABOUT]))


_getter = lru_cache(attrgetter)
