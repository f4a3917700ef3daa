"""Starts one server for as long as a test session lasts."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import S3, Process
from tests.cluster.cache import cache
from tests.cluster.process import Running
from tests.support.ports import free_ports

from .servers import Place, StoreServer


@contextmanager
def running(server: StoreServer) -> Iterator[S3]:
    """Run a server on a free port, with keys and files of its own that go with it."""
    assert server.spec is not None, f"{server.name} runs in the cluster"
    folder = cache() / "stores" / "running"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_orphans(folder)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=folder) as name:
        home, port = Path(name), free_ports(1)[0]
        s3 = S3(f"http://127.0.0.1:{port}", secrets.token_hex(10), secrets.token_hex(20))
        spec = server.spec(server.program(), Place(home, port, s3))
        # Should this process be killed, the server ends with it.
        tied = ("setpriv", "--pdeathsig=KILL", *spec.argv)
        process = Process(home, spec.model_copy(update={"argv": tied}))
        process.start()
        try:
            process.wait_ready()
            yield s3
        finally:
            process.kill()  # nothing of it is to be kept


def _remove_orphans(folder: Path) -> None:
    """Remove the files of servers whose process of tests was killed, and they with it."""
    for home in folder.iterdir():
        if Running.of(int(home.name.partition("-")[0])) is None:
            shutil.rmtree(home, ignore_errors=True)
