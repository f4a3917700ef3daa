"""The store and a server that lies, breaks off, or sends without end; and credentials in files."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bec_ops.contract.marker import MAX_MARKER_BYTES, InvalidMarker
from bec_ops.contract.s3.store import Store, StoreError, TooLargeError
from bec_ops.contract.volume import Volume

MIB = 1024 * 1024


class _Server(BaseHTTPRequestHandler):
    """Sends an object of as many bytes as its key says; `endless-` ones do not tell their size."""

    sent = 0  # by all of them
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, size = self.path.rpartition("/")[2].partition("-")
        self.send_response(200)
        self.send_header("Last-Modified", "Tue, 24 Nov 2026 12:00:00 GMT")
        if kind == "endless":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", size)
        self.end_headers()
        for _ in range(0, int(size) if kind != "short" else 10, MIB):
            try:
                self.wfile.write(bytes(min(MIB, int(size))))
            except OSError:
                break
            type(self).sent += MIB
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    _Server.sent = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    return Store(url, "us-east-1")


def test_what_fits_is_read(store: Store) -> None:
    assert store.get("b", "sized-1000", 1000) == bytes(1000)
    assert store.get("b", "endless-1000", 1000) == bytes(1000)


def test_a_size_that_is_told_is_judged_before_anything_is_read(store: Store) -> None:
    with pytest.raises(TooLargeError, match="s3://b/sized-1001 has 1,001 bytes; at most 1,000"):
        store.get("b", "sized-1001", 1000)


def test_what_does_not_tell_its_size_is_broken_off(store: Store) -> None:
    with pytest.raises(TooLargeError) as raised:
        store.get("b", f"endless-{500 * MIB}", MIB)
    assert (raised.value.size, raised.value.limit) == (None, MIB)
    assert _Server.sent < 100 * MIB


def test_what_ends_too_early_is_no_answer(store: Store) -> None:
    with pytest.raises(StoreError) as raised:
        store.get("b", f"short-{10 * MIB}")
    assert raised.value.reason == "Unavailable"


def test_a_stream_is_not_sent_to_who_does_not_read_it(store: Store) -> None:
    with store.open("b", f"sized-{500 * MIB}", 1000 * MIB) as found:
        assert found
        assert found.size == 500 * MIB
        assert len(next(found.chunks)) <= MIB
    assert _Server.sent < 100 * MIB


def test_an_error_of_who_reads_is_not_of_s3(store: Store) -> None:
    with pytest.raises(OSError, match="disk"), store.open("b", "sized-10", 10):
        raise OSError("disk")


def test_a_marker_that_is_too_large_is_invalid(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr("bec_ops.contract.s3.store.MARKER_NAME", "sized-5000000")
    with pytest.raises(InvalidMarker, match=r"has 5,000,000 bytes; at most 1,048,576"):
        store.read_marker("b", "p/", "j", Volume("W1", "I1"))
    assert MAX_MARKER_BYTES == MIB


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_token_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_folder: bool
) -> None:
    token = tmp_path / "token"
    if is_folder:
        token.mkdir()  # not even root reads a folder
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/x")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreError, match=f"{token} cannot be read") as raised:
        Store("http://127.0.0.1:1", "us-east-1").get("b", "k")
    assert raised.value.reason == "Forbidden"
