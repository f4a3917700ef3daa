"""How the end of a job is told, in the words that existing clients know."""

import signal

from bec_ops.serve.job_folder import End

_KILLED = -signal.SIGKILL
_LOST = (
    "lost: what kept the job was killed, or the machine went down; its processes are ended, and "
    "whether its work is whole nobody knows"
)


def error_text(end: End) -> str:
    """Say what went wrong; empty if nothing did.

    `signal: killed` is said of what SIGKILL has ended and of nothing else: clients know a stop by
    it. One that ended in time after a stop says so, even if it ended with 0: it may not be whole.
    """
    if end.lost:
        return _LOST
    if end.stopped and end.code != _KILLED:
        return f"stopped: {_how(end.code)}"
    return _how(end.code) if end.code else ""


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    name = signal.strsignal(-code) if -code in signal.valid_signals() else None
    return f"signal: {(name or str(-code)).lower()}"
