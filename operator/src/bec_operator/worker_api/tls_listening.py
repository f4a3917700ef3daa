"""Listens for TLS: who does not get through with the handshake is bounded, and not waited for.

asyncio's own servers tell of a connection once its handshake is over, so that nothing would count
those that never come so far.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from bec_operator.worker_api.connections import Guard

log = logging.getLogger(__name__)

MOST = 500  # handshakes at once
MOST_OF_ADDRESS = 50
_AGAIN = 0.5  # seconds after which it accepts again where there were no files left


class TlsListener:
    """Accepts connections for a guard, and begins TLS on each."""

    def __init__(
        self, guard: Guard, make: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext
    ) -> None:
        self._guard = guard
        self._make = make
        self._tls = tls
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._shaking: set[asyncio.Task[None]] = set()
        self._by_address: Counter[str] = Counter()

    def start(self, port: int, backlog: int) -> None:
        """Listen; raises OSError if somebody has the port."""
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        listening = socket.create_server(
            ("", port), family=family, backlog=backlog, dualstack_ipv6=both
        )
        listening.setblocking(False)
        self._socket = listening
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))

    def close(self) -> None:
        """Listen no more."""
        for task in (self._accepting, *self._shaking):
            if task is not None:
                task.cancel()
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                log.warning("no connection can be accepted: %s", error)
                await asyncio.sleep(_AGAIN)
                continue
            who = str(address[0])
            if len(self._shaking) >= MOST or self._by_address[who] >= MOST_OF_ADDRESS:
                self._guard.note_closed("full" if len(self._shaking) >= MOST else "address", who)
                connection.close()
                continue
            self._by_address[who] += 1
            task = loop.create_task(self._begin(connection, who))
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _begin(self, connection: socket.socket, who: str) -> None:
        """Shake hands; the guard takes the connection over as soon as that is done."""
        seconds = self._guard.limits.seconds
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except ConnectionAbortedError:  # it takes longer than it may
            self._guard.note_closed("slow", who)
        except (OSError, ssl.SSLError):
            pass  # no TLS, or they went: it concerns nobody else
        finally:
            self._by_address[who] -= 1
            if not self._by_address[who]:
                del self._by_address[who]
