"""A way to a server on which an answer gets lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def way_without_answer(port: int, to: bytes) -> Iterator[int]:
    """Hand on all that is said to a port of this machine, until somebody says `to`.

    What the server answers to that is read, so it has done it, and the way is cut.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client, socket.create_connection(("127.0.0.1", port)) as other:
                    back = threading.Thread(target=_copy, args=(other, client))
                    back.start()
                    while (said := client.recv(65536)) and to not in said:
                        other.sendall(said)
                    _cut(other, client, back, said)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while got := source.recv(65536):
            target.sendall(got)


def _cut(server: socket.socket, client: socket.socket, back: threading.Thread, said: bytes) -> None:
    """Let nothing more reach the client, say it to the server, and wait for what it answers."""
    client.shutdown(socket.SHUT_WR)
    server.sendall(said)
    server.shutdown(socket.SHUT_WR)  # it ends once it has done what it was told
    back.join()
