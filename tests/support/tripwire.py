"""A way to a server of this machine on which something happens as soon as somebody says a word."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Wire:
    """What is waited for. `after`: until the server has answered; else it never hears of it."""

    word: bytes
    after: bool
    trip: Callable[[], None]


class Tripwire:
    """Hands on bytes both ways, until the word falls that it was `set` to: then it trips, once.

    The connection on which that was said breaks.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="tripwire", daemon=True)

    def set(self, wire: Wire | None) -> None:
        """Wait for this, and nothing else, from now on."""
        with self._lock:
            self._wire = wire

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            client.close()
            return
        way = _Way(client, server)
        threading.Thread(target=way.back, daemon=True).start()
        with suppress(OSError):
            while said := client.recv(65536):
                wire = self._take(said)
                if wire is not None and not wire.after:
                    wire.trip()
                    break
                way.wire = wire
                server.sendall(said)
        way.cut()

    def _take(self, said: bytes) -> Wire | None:
        """Return the wire that was hit, which it then is no more."""
        with self._lock:
            if self._wire is None or self._wire.word not in said:
                return None
            wire, self._wire = self._wire, None
            return wire


class _Way:
    """One connection, through."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.wire: Wire | None = None
        self._client = client
        self._server = server

    def back(self) -> None:
        """Hand on what the server says, unless the wire was hit."""
        with suppress(OSError):
            while said := self._server.recv(65536):
                if self.wire is not None:
                    self.wire.trip()
                    break
                self._client.sendall(said)
        self.cut()

    def cut(self) -> None:
        """End both sides."""
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
