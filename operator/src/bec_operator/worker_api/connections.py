"""Connections of workers: how many there may be, and how long one may take to say what it wants.

aiohttp takes any number of them, and waits for the rest of a request as long as the other side
likes. What is held open costs memory and file descriptors, and needs no token.
"""

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from bec_operator.metrics import WORKER_CONNECTIONS, WORKER_CONNECTIONS_CLOSED

log = logging.getLogger(__name__)

OTHER_FILES = 1024
"""File descriptors for all else: the API server, S3, health and metrics."""

_A_MOMENT = 0.1  # seconds in which aiohttp reads what has come

Why = Literal["full", "address", "slow"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed: connections of all, of one address, and seconds to wait for a request."""

    most: int
    most_of_address: int
    seconds: float


class Guard:
    """Counts connections, and closes those that are too many or too slow.

    The newest is turned away: those that are served stay. `closed` is told of each, and why.
    """

    def __init__(self, limits: Limits, closed: Callable[[Why, str], None]) -> None:
        self.limits = limits
        self._most = limits.most
        self._closed = closed
        self._served: dict[asyncio.BaseTransport, _Connection] = {}
        self._by_address: Counter[str] = Counter()

    def prepare(self) -> None:
        """See that there are files for all connections, or allow fewer: others need some, too."""
        self._most = allow_files(self.limits.most)
        if self._most < self.limits.most:
            log.warning(
                "%d connections of workers are served at once, not %d: the process may not open "
                "more files; raise its limit (RLIMIT_NOFILE)",
                self._most,
                self.limits.most,
            )

    def around(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.BaseProtocol]:
        """Return what makes the protocol of each connection, around one that `make` makes."""
        return lambda: _Connection(self, make)

    def answering(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request has come on a connection: it is our turn now."""
        if transport is not None and (served := self._served.get(transport)) is not None:
            served.begin()

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that the answer to it is ready."""
        if transport is not None and (served := self._served.get(transport)) is not None:
            served.end()

    def admit(self, connection: "_Connection") -> bool:
        """Whether a new connection is served; if not, it is to be closed at once."""
        if len(self._served) >= self._most:
            self.note_closed("full", connection.address)
            return False
        if self._by_address[connection.address] >= self.limits.most_of_address:
            self.note_closed("address", connection.address)
            return False
        self._served[connection.transport] = connection
        self._by_address[connection.address] += 1
        WORKER_CONNECTIONS.set(len(self._served))
        return True

    def remove(self, connection: "_Connection") -> None:
        """Take in that one which was served is gone."""
        del self._served[connection.transport]
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        WORKER_CONNECTIONS.set(len(self._served))

    def note_closed(self, why: Why, address: str) -> None:
        """Count a connection that is closed by us, and tell of it."""
        WORKER_CONNECTIONS_CLOSED.labels(why).inc()
        self._closed(why, address)


class _Connection(asyncio.Protocol):
    """One connection; what speaks HTTP on it is made only if it is served.

    It is the other side's turn until a request's head has come, and again from the first byte of
    the next one on. Between two requests aiohttp's own time-out counts.
    """

    def __init__(self, guard: Guard, make: Callable[[], asyncio.Protocol]) -> None:
        self._guard = guard
        self._make = make
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ours = False  # a request is being answered
        self.transport: asyncio.Transport
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve it, or close it at once."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._guard.admit(self):
            self.transport.abort()
            return
        self._wait()
        self._inner = self._make()
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._wait_no_more()
        if self._inner is not None:
            self._guard.remove(self)
            self._inner.connection_lost(error)
            self._inner = None

    def data_received(self, data: bytes) -> None:
        """Hand on what has come."""
        if self._inner is not None:
            if not self._ours and self._timer is None:
                self._wait()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more will come."""
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        """Hand on that the other side reads too slowly; it has not for ever, either."""
        self._wait()
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it reads again."""
        self._wait_no_more()
        if self._inner is not None:
            self._inner.resume_writing()

    def begin(self) -> None:
        """Take in that a request has come."""
        self._ours = True
        self._wait_no_more()

    def end(self) -> None:
        """Take in that it is answered."""
        self._ours = False

    def _wait(self) -> None:
        self._wait_no_more()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._guard.limits.seconds, self._give_up)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Close it, unless what was waited for has come while the process did something else."""
        self._timer = asyncio.get_running_loop().call_later(_A_MOMENT, self._close)

    def _close(self) -> None:
        self._timer = None
        self._guard.note_closed("slow", self.address)
        self.transport.abort()


def allow_files(connections: int) -> int:
    """Let the process open as many files as so many connections need, as far as it may.

    Return how many connections it can have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return min(connections, max(files - OTHER_FILES, files // 2))
