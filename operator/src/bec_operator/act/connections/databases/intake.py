"""How much a server may bring at once: a driver takes in each value as a whole, however large.

Where a query is written by somebody else, one value of it may be a gigabyte, and no setting of
PostgreSQL or MySQL bounds it. To ask the database for the beginning of each value would mean to
write the query anew, and MariaDB loses its order then. So what comes is counted while it comes.
"""

import socket
import struct
from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from threading import Event, Thread
from types import TracebackType
from typing import Self

AT_ONCE = 16 * 1024 * 1024  # bytes; a thousand rows of volumes have two million at most
_EACH = 0.005  # seconds, in which a fast network brings some megabytes
_QUIET = 0.02  # while nothing comes
_BYTES_RECEIVED = struct.Struct("=128xQ")  # of the kernel's struct tcp_info, since Linux 4.1


class Intake:
    """Cuts a connection off that brings too much before what it has brought is taken."""

    def __init__(self, received: Callable[[], int], cut: Callable[[], None]) -> None:
        self.has_cut = False
        self._received = received
        self._cut = cut
        self._taken = received()
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def take(self) -> None:
        """Say that what has come so far is taken."""
        self._taken = self._received()

    def _watch(self) -> None:
        before = 0
        wait = _EACH
        while not self._over.wait(wait):
            now = self._received()
            if now - self._taken > AT_ONCE:
                self.has_cut = True
                self._cut()
                return
            wait, before = _EACH if now > before else _QUIET, now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()


def bytes_read(line: socket.socket) -> int:
    """Return how many bytes were read from a socket; 0 where its kernel does not count.

    What has come and is not read yet takes none of our memory, and may be much.
    """
    unread = array("i", [0])
    try:
        ioctl(line, FIONREAD, unread)
        told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (OSError, ValueError):  # it is none of TCP, or closed
        return 0
    if len(told) < _BYTES_RECEIVED.size:
        return 0
    return int(_BYTES_RECEIVED.unpack_from(told)[0]) - unread[0]
