"""Which connections there are, who may use them, and the threads in which they are used.

The administrator names them in the settings; a Job says a name and never holds a credential. What a
connection's Secret holds is read from its folder whenever a server is asked, so a password that has
changed is the new one at the next try, and it is kept nowhere.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bec_operator.act.connections.trouble import FORBIDDEN, UNAVAILABLE, UNKNOWN, ConnectionTrouble
from bec_operator.metrics import CONNECTION_CALLS
from bec_operator.settings import ConnectionSettings, Settings

T = TypeVar("T")
AT_ONCE = 2  # calls of one connection: where its server gives no answer, others go on
_MOST = 64 * 1024  # bytes of one entry of a Secret


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


class Connections:
    """All connections by name; each has threads of its own."""

    def __init__(self, settings: Settings) -> None:
        self._folder = Path(settings.connections_folder)
        self._known: Mapping[str, ConnectionSettings] = {c.name: c for c in settings.connections}
        self._pools: dict[str, ThreadPoolExecutor] = {}

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
        """Do `work` in a thread of the connection; raises ConnectionTrouble."""
        pool = self._pools.get(connection.name)
        if pool is None:
            pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"connection-{connection.name}")
            self._pools[connection.name] = pool
        outcome = "ok"
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work, connection)
        except ConnectionTrouble as error:
            outcome = error.reason
            raise
        finally:
            CONNECTION_CALLS.labels(connection.name, outcome).inc()

    def close(self) -> None:
        """Wait for nothing any more."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
