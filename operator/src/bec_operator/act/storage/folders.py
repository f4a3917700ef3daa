"""Which of the folders that are asked for stand in a list that may have millions of others."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable


class Wanted:
    """Folders by their hashes, eight bytes each: what is kept depends on what is asked for alone.

    Where two hashes are alike, a marker is looked for in vain.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._hashes = array("q", sorted(map(hash, folders)))

    def among(self, listed: Iterable[str]) -> frozenset[int]:
        """Return the hashes of those that are listed."""
        return frozenset(found for found in map(hash, listed) if self._has(found))

    def _has(self, found: int) -> bool:
        at = bisect_left(self._hashes, found)
        return at < len(self._hashes) and self._hashes[at] == found
