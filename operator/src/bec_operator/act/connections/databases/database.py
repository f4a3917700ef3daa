"""What all kinds of databases have in common: they are opened, asked, and can be cut off."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Protocol, Self

from bec_operator.act.connections.databases.intake import bytes_read

CONNECT_SECONDS = 10  # for a server to let somebody in
_LOCK_SECONDS = 10
_SAID_AT_MOST = 300  # characters of what a server says


class Fault(Enum):
    """What an error means for whoever asks."""

    QUERY = auto()  # the query is wrong, and will be
    LATE = auto()  # it was ended because it took too long
    LOCKED = auto()  # another transaction holds what it reads
    AWAY = auto()  # the server is not there, or not for us


@dataclass(frozen=True, slots=True)
class Told:
    """An error as it is told: what it means, what the server said, and what to do about it."""

    fault: Fault
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection of a driver, and what ends it from another thread, whatever it waits for."""

    raw: Any
    cut: Callable[[], None]
    close: Callable[[], None]
    leave: Callable[[], None] = lambda: None  # before rows are left unread
    received: Callable[[], int] = lambda: 0  # bytes so far


class Database(Protocol):
    """A kind of database. Its driver is imported when it is opened, and not before."""

    @property
    def rows_at_once(self) -> int:
        """How many rows may be in memory, beside what is made of them."""

    def place(self, name: str) -> str:
        """Return where a value stands in a query."""

    def cursor(self, raw: Any) -> Any:
        """Return a cursor that leaves the rows to the server until they are fetched."""

    def open(self, url: str, authority: Path | None) -> Opened:
        """Connect; `authority` signs the server's certificate. Raises UrlError, or anything."""

    def begin(self, seconds: float) -> Sequence[str]:
        """Return the statements before the query, which may take so many seconds."""

    def not_opened(self, error: Exception) -> Told:
        """Say why it could not be opened."""

    def told(self, error: Exception) -> Told:
        """Say what an error means that came later."""


class Guard:
    """Cuts a connection off after a time, as a server may be silent for ever.

    Time-outs of the server do not help where it hangs, and keepalives are answered by its kernel.
    """

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        self.has_cut = False
        self._cut = cut
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True

    def _end(self) -> None:
        self.has_cut = True
        self._cut()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()


def lock_seconds(seconds: float) -> float:
    """Return how long a query of so many seconds waits for a lock: less, so that it is told."""
    return min(_LOCK_SECONDS, seconds / 2)


def over_socket(raw: Any, descriptor: int) -> Opened:
    """Return a connection over a socket, which can be cut off."""
    # A copy: the driver may close its own at any time, and another file get that number.
    copy = socket.socket(fileno=os.dup(descriptor))

    def cut() -> None:
        with suppress(OSError):
            copy.shutdown(socket.SHUT_RDWR)

    def close() -> None:
        copy.close()
        with suppress(Exception):  # some drivers refuse to close what is closed
            raw.close()

    return Opened(raw, cut, close, received=partial(bytes_read, copy))


def of_python(error: Exception) -> Told:
    """Say what an error means that is none of a driver's: a value that it cannot take or give."""
    is_value = isinstance(error, ValueError | ArithmeticError)
    return Told(Fault.QUERY if is_value else Fault.AWAY, one_line(str(error)))


def one_line(text: str) -> str:
    """Return the first line of what a server says, bounded: it may quote anything."""
    line = next((each for each in text.splitlines() if each.strip()), "nothing").strip()
    line = "".join(each if each.isprintable() else " " for each in line[: _SAID_AT_MOST + 1])
    return line if len(line) <= _SAID_AT_MOST else f"{line[: _SAID_AT_MOST - 1]}…"
