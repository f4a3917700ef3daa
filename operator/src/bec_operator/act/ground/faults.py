"""What is told of an exception that nobody foresaw: its kind and its place, never its text.

Its text may repeat what was being read: a parameter, an environment variable, a token.
"""

import logging
import traceback
from pathlib import Path

_FRAMES = 12  # the innermost ones


def kind_and_place(error: BaseException) -> str:
    """Return such as `AttributeError (pod_spec.py, line 178)`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} ({Path(last.filename).name}, line {last.lineno})"


def log_fault(log: logging.Logger, error: BaseException, what: str) -> None:
    """Log at error that `what` has broken, and the way to the place."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    way = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    log.error("%s broke: %s; by way of %s", what, kind_and_place(error), way)
