"""Which connections there are, who may use them, and the threads in which they are used.

The administrator names them in the settings; a Job says a name and never holds a credential. What a
connection's Secret holds is read from its folder whenever a server is asked, so a password that has
changed is the new one at the next try, and it is kept nowhere.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from bec_operator.metrics import CONNECTION_CALLS
from bec_operator.settings import ConnectionSettings

T = TypeVar("T")
AT_ONCE = 2  # calls of one connection: where its server gives no answer, others go on
_MOST = 64 * 1024  # bytes of one entry of a Secret

UNKNOWN = "ConnectionUnknown"
FORBIDDEN = "ConnectionForbidden"
UNAVAILABLE = "ConnectionUnavailable"
QUERY_REFUSED = "QueryRefused"  # the server has understood, and will say so again


class ConnectionTrouble(Exception):  # noqa: N818 - what goes wrong is mostly on the other side
    """A connection may not be used, or gives no answer: a reason, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def unknown(self) -> bool:
        """Whether the other side gave no answer, so that nothing at all is known of what it has."""
        return self.reason == UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Connection:
    """A server that Jobs may use, and the folder with what its Secret holds."""

    name: str
    folder: Path

    def entry(self, key: str) -> str:
        """Return an entry of the Secret, without blanks around it; empty if there is none."""
        try:
            with (self.folder / key).open(encoding="utf-8") as file:
                return file.read(_MOST).strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def needed(self, *keys: str) -> str:
        """Return the first of these entries that is there; raises ConnectionTrouble."""
        for key in keys:
            if found := self.entry(key):
                return found
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {self.name}: its Secret is not there, or has no key {' or '.join(keys)}; "
            "the administrator has to put it there",
        )

    def path(self, key: str) -> Path | None:
        """Return the file of an entry of the Secret, if there is one."""
        file = self.folder / key
        return file if file.is_file() else None


@contextmanager
def _counted(connection: Connection) -> Iterator[None]:
    outcome = "ok"
    try:
        yield
    except ConnectionTrouble as error:
        outcome = error.reason
        raise
    finally:
        CONNECTION_CALLS.labels(connection.name, outcome).inc()


class Connections:
    """All connections by name, as the settings have them; each has threads of its own.

    `folder` has a folder for each, with what its Secret holds.
    """

    def __init__(self, known: Sequence[ConnectionSettings] = (), folder: str = "") -> None:
        self._folder = Path(folder)
        self._known = {connection.name: connection for connection in known}
        self._turns: dict[tuple[str, str], asyncio.Semaphore] = {}

    def find(self, name: str, kind: str, namespace: str) -> Connection:
        """Return the connection that a Job of `namespace` names; raises ConnectionTrouble."""
        found = self._known.get(name)
        if found is None or found.kind != kind:
            raise ConnectionTrouble(
                UNKNOWN,
                f"there is no {kind} connection {name}; the administrator names connections in the "
                "values of the operator's chart",
            )
        if not found.serves(namespace):
            raise ConnectionTrouble(
                FORBIDDEN,
                f"connection {name} is not for namespace {namespace}; the administrator says in "
                "the values of the operator's chart which namespaces may use it",
            )
        return Connection(name, self._folder / name)

    async def call(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        """Do `work` in a thread, a few of one connection at once; raises ConnectionTrouble."""
        async with self.turn(connection):
            return await self.listen(connection, work)

    def turn(self, connection: Connection, use: str = "") -> AbstractAsyncContextManager[None]:
        """Return what a few calls of a connection can hold at once, for each use of it."""
        return self._turns.setdefault((connection.name, use), asyncio.Semaphore(AT_ONCE))

    async def listen(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        """Do `work`, which may wait for something to come, in a thread of its own.

        Nobody waits for its end: not who is cancelled meanwhile, nor the end of the process. Raises
        ConnectionTrouble.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(answer: T | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("T", answer))

        def run() -> None:
            answer, failed = None, None
            try:
                answer = work(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, who listens gets it
                failed = error
            with suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(settle, answer, failed)

        threading.Thread(target=run, name=f"listen-{connection.name}", daemon=True).start()
        with _counted(connection):
            return await done
