"""Connections to databases as the operator has them, and what reads from them."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bec_operator.act.connections.databases.urls import masked
from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble

NAME = "catalogue"
SECONDS = 20.0
Row = tuple[object, ...]


def secret(folder: Path, url: str, authority: Path | None = None) -> Connection:
    """Return a connection whose Secret has this URL, and who signs the server's certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "url").write_text(f"{url}\n")
    if authority is not None:
        (folder / "ca.crt").write_bytes(authority.read_bytes())
    return Connection(NAME, folder)


def every_row(columns: Sequence[str], rows: Iterator[Row]) -> tuple[Sequence[str], list[Row]]:
    """Take all that comes."""
    return columns, list(rows)


def rows_of(
    connection: Connection,
    query: str,
    values: Mapping[str, object] | None = None,
    seconds: float = SECONDS,
) -> list[Row]:
    """Return all rows of a query."""
    return read_rows(connection, query, values or {}, every_row, seconds=seconds)[1]


def refusal(
    connection: Connection,
    query: str,
    values: Mapping[str, object] | None = None,
    seconds: float = SECONDS,
    take: Callable[[Sequence[str], Iterator[Row]], object] = every_row,
) -> ConnectionTrouble:
    """Return what keeps a query from being answered: one line, without what nobody may read."""
    with _nothing_logged(), pytest.raises(ConnectionTrouble) as caught:
        read_rows(connection, query, values or {}, take, seconds=seconds)
    said = str(caught.value)
    assert said.startswith(f"connection {NAME}: ")
    assert said.isprintable(), said
    assert len(said) < 700, said
    url = connection.entry("url")
    assert not url or url.rpartition("@")[0] not in said or "@" not in url, said
    assert masked(said, url) == said
    return caught.value


def unanswered(connection: Connection, query: str, seconds: float = SECONDS) -> str:
    """Return the sentence of a refusal that may be none the next time."""
    trouble = refusal(connection, query, seconds=seconds)
    assert trouble.reason == UNAVAILABLE
    assert trouble.unknown
    return str(trouble)


@contextmanager
def listening(answer: bytes = b"") -> Iterator[int]:
    """Listen on a port, and answer everybody with the same or not at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                kept.append(client)
                if answer:
                    client.sendall(answer)

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in kept:
                client.close()


@contextmanager
def _nothing_logged() -> Iterator[None]:
    """See that libraries do not log what is told already, as they do with all that they know."""
    kept: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = kept.append  # type: ignore[method-assign, assignment]
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert not kept
