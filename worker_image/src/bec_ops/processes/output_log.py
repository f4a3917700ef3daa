"""The end of what an attempt prints, kept: whoever prints it, a C library and subprocesses too."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bec_ops.contract.protocol import LOG_BYTES
from bec_ops.processes import tee

_OUT, _ERR = 1, 2
_PATIENCE = 5.0  # seconds for a small program that has nothing else to do


class OutputLog:
    """File descriptors 1 and 2 go through `tee` as long as this is open."""

    def __init__(self) -> None:
        _flush()
        self._before = (os.dup(_OUT), os.dup(_ERR))
        self._control, control = socket.socketpair()
        self._control.settimeout(_PATIENCE)
        pipes = (os.pipe(), os.pipe())
        given = (pipes[0][0], self._before[0], pipes[1][0], self._before[1], control.fileno())
        try:
            self._process = subprocess.Popen(  # noqa: S603 - Python and a file of ours
                [sys.executable, "-I", "-S", tee.__file__, *map(str, given), str(LOG_BYTES)],
                stdin=subprocess.DEVNULL,
                pass_fds=given,
                start_new_session=True,  # a Ctrl-C is not meant for it
            )
            os.dup2(pipes[0][1], _OUT)
            os.dup2(pipes[1][1], _ERR)
        finally:
            control.close()
            for end in (*pipes[0], *pipes[1]):
                os.close(end)

    def tail(self) -> bytes:
        """Return the last 64 KiB of all that was printed until now, or since `restart`."""
        return self._ask(b"?")

    def restart(self) -> None:
        """Keep nothing of what was printed until now: another task begins."""
        self._ask(b"!")

    def _ask(self, what: bytes) -> bytes:
        _flush()
        try:
            self._control.sendall(what)
            size = int.from_bytes(self._receive(8), "big")
            return self._receive(size)
        except OSError:
            return b""

    def close(self) -> None:
        """Put both descriptors back, once all that was printed has gone where it belongs."""
        _flush()
        for before, number in zip(self._before, (_OUT, _ERR), strict=True):
            os.dup2(before, number)
            os.close(before)
        self._control.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # nobody reads what it writes
            self._process.kill()
            self._process.wait()

    def _receive(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            chunk = self._control.recv(size - len(found))
            if not chunk:
                raise ConnectionError("the program that keeps the output has ended")
            found += chunk
        return found


@contextmanager
def output_kept() -> Iterator[OutputLog]:
    """Keep the end of what is printed in here."""
    log = OutputLog()
    try:
        yield log
    finally:
        log.close()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()
