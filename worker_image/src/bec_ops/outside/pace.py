"""How often something is tried again, and how often people are told that it does not work."""

import logging
import random
import time

_FIRST, _LONGEST = 2.0, 60.0  # seconds between two tries
_WORD_EVERY = 60.0  # seconds


class Pace:
    """Longer and longer pauses, each of another length: many workers must not come at once."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tries = 0
        self._said = -_WORD_EVERY

    def pause(self, why: str) -> float:
        """Say why, if that was not said within the last minute, and return how long to wait."""
        if time.monotonic() - self._said >= _WORD_EVERY:
            self._said = time.monotonic()
            self._logger.warning("no task: %s", why)
        longest = min(_FIRST * 2.0 ** min(self._tries, 10), _LONGEST)
        self._tries += 1
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin with short pauses again: it has worked."""
        self._tries = 0
