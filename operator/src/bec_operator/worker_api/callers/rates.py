"""How often somebody may do something: a bucket of tokens each, filled at a steady rate."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

_REMEMBERED = 10_000  # buckets; the one that was not used for longest is forgotten first


@dataclass(slots=True)
class _Bucket:
    """What was left in a bucket at a time."""

    left: float
    at: float


class Rates:
    """So many times a second for each key, and `burst` at once after a rest."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def take(self, key: Hashable, now: float) -> float:
        """Take one from the bucket of a key; return 0, or in how many seconds there is one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            filled = bucket.left + (now - bucket.at) * self._per_second
            bucket.left, bucket.at = min(filled, self._burst), now
        if bucket.left < 1:
            return (1 - bucket.left) / self._per_second
        bucket.left -= 1
        return 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo what was taken last from the bucket of a key."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.left = min(bucket.left + 1, self._burst)
