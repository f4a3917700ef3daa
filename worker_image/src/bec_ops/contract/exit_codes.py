"""How a worker's process ends, and what each exit code says. The one table of them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The codes with a meaning; any other one but 0 is as good as RETRYABLE.

    They are those of sysexits.h, and 128 plus the signal's number.
    """

    DONE = 0  # the marker is written
    USAGE = 64  # as MISCONFIGURED
    TERMINAL = 65  # no retry can help this volume
    RETRYABLE = 75
    MISCONFIGURED = 78  # no volume of this job can succeed: nothing more is launched
    KILLED = 137  # for its memory, if the termination message says so; else as RETRYABLE
    INTERRUPTED = 143  # told to stop, and stopped
