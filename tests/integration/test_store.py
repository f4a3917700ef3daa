"""The store against a real S3, and against what can go wrong on the way to one."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME, InvalidMarker
from bec_ops.contract.s3.store import Store, StoreError, TooLargeError
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.stores import Trait
from tests.support.space import s3_client

pytestmark = pytest.mark.stores

MARKER = json.dumps({"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}).encode()
VOLUME = Volume("W1", "I1")
NOWHERE = "http://127.0.0.1:1"

# Every way of asking; each must tell unknown from absent.
ASKING: dict[str, Callable[[Store, str], object]] = {
    "get": lambda store, bucket: store.get(bucket, "a/key"),
    "head": lambda store, bucket: store.head(bucket, "a/key"),
    "check_bucket": lambda store, bucket: store.check_bucket(bucket),
    "list_folders": lambda store, bucket: list(store.list_folders(bucket, "a/")),
    "list_keys": lambda store, bucket: list(store.list_keys(bucket, "a/")),
    "read_marker": lambda store, bucket: store.read_marker(bucket, "a/", "j", VOLUME),
}
WRITING: dict[str, Callable[[Store, str], object]] = {
    "put": lambda store, bucket: store.put(bucket, "a/key", b"x"),
    "upload": lambda store, bucket: store.upload(bucket, "a/key", Path(__file__)),
}
ways = pytest.mark.parametrize("way", ASKING.values(), ids=ASKING)
all_ways = pytest.mark.parametrize("way", (ASKING | WRITING).values(), ids=ASKING | WRITING)


@pytest.fixture(autouse=True)
def _credentials(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def bucket(s3: S3) -> str:
    name = f"store-{uuid4().hex[:12]}"
    s3_client(s3).create_bucket(Bucket=name)
    return name


def test_what_is_put_is_got(store: Store, bucket: str, tmp_path: Path) -> None:
    store.check_bucket(bucket)
    store.put(bucket, "a/one", b"\0\xff" * 100, "text/plain")
    assert store.get(bucket, "a/one") == b"\0\xff" * 100

    big = tmp_path / "big"
    big.write_bytes(b"0123456789" * 1_000_000)  # more than one part
    store.upload(bucket, "a/big", big)
    assert store.get(bucket, "a/big") == big.read_bytes()


def test_no_more_is_read_than_is_allowed(store: Store, bucket: str) -> None:
    store.put(bucket, "one", b"x" * 1000)
    assert store.get(bucket, "one", 1000) == b"x" * 1000
    with pytest.raises(TooLargeError, match=f"s3://{bucket}/one has 1,000 bytes; at most 999"):
        store.get(bucket, "one", 999)
    with store.open(bucket, "one", 1000) as found, store.open(bucket, "two", 1000) as missing:
        assert missing is None
        assert found
        assert found.size == 1000
        assert b"".join(found.chunks) == b"x" * 1000


def test_head_tells_size_and_age(store: Store, bucket: str) -> None:
    store.put(bucket, "one", b"hello")
    info = store.head(bucket, "one")
    assert info
    assert info.size == 5
    assert abs(datetime.now(UTC) - info.last_modified) < timedelta(minutes=1)
    assert info.etag == "5d41402abc4b2a76b9719d911017c592"


def test_absent_is_an_answer(store: Store, bucket: str) -> None:
    store.put(bucket, "folder/one", b"x")
    assert store.get(bucket, "folder") is None
    assert store.get(bucket, "two") is None
    assert store.head(bucket, "two") is None
    assert store.read_marker(bucket, "folder/", "j", VOLUME) is None
    assert list(store.list_keys(bucket, "nothing/")) == []
    assert list(store.list_folders(bucket, "nothing/")) == []


def test_folders_are_listed_over_all_pages(store: Store, bucket: str) -> None:
    template = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")
    volumes = [Volume(f"W-{number} ཀ", f"I/{number}", "v") for number in range(2500)]
    prefixes = [template.prefix("j", volume) for volume in volumes]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda prefix: store.put(bucket, prefix + MARKER_NAME, MARKER), prefixes))
    for page in range(3):
        store.put(bucket, f"{prefixes[0]}pages/{page}.txt", b"x")

    folders = list(store.list_folders(bucket, template.common_folder("j")))
    assert sorted(folders) == sorted(template.volume_folder("j", volume) for volume in volumes)
    keys = list(store.list_keys(bucket, template.common_folder("j")))
    assert len(keys) == 2503
    assert f"{prefixes[0]}pages/2.txt" in keys


def test_folders_are_listed_from_one_on(store: Store, bucket: str) -> None:
    """None is missing, whatever order a store has, and over all pages, too."""
    names = ["a", "a-b", "a0", "b", "é", *(f"c{number:04}" for number in range(1500))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(bucket, f"from/{name}/x", b""), names))
    for first in ("a", "a-a", "a-b", "a/", "b", "c0700", "c07000", "z", "é", "ö"):
        found = list(store.list_folders(bucket, "from/", f"from/{first}"))
        assert set(found) >= {f"from/{name}/" for name in names if name >= first}
        assert len(found) == len(set(found))
    assert "from/c0600/" not in store.list_folders(bucket, "from/", "from/c0700")


def test_keys_are_listed_as_they_are_whatever_they_hold(store: Store, bucket: str) -> None:
    names = ["W%2D1", "a b+c", "ཀ་ཁ", "x&<y>", "%", "%25"]
    for name in names:
        store.put(bucket, f"p/{name}/key", b"x")
    assert set(store.list_folders(bucket, "p/")) == {f"p/{name}/" for name in names}
    assert set(store.list_keys(bucket, "p/")) == {f"p/{name}/key" for name in names}
    assert list(store.list_keys(bucket, "p/W%2D1/")) == ["p/W%2D1/key"]


def test_a_marker_is_read(store: Store, bucket: str) -> None:
    store.put(bucket, "p/" + MARKER_NAME, MARKER)
    marker = store.read_marker(bucket, "p/", "j", VOLUME)
    assert marker
    assert marker.worker_id == "w"


def test_a_marker_from_before_redo_at_is_none(store: Store, bucket: str) -> None:
    store.put(bucket, "p/" + MARKER_NAME, MARKER)
    written = store.head(bucket, "p/" + MARKER_NAME)
    assert written
    on_time, too_late = written.last_modified, written.last_modified + timedelta(seconds=1)
    assert store.read_marker(bucket, "p/", "j", VOLUME, on_time)
    assert store.read_marker(bucket, "p/", "j", VOLUME, too_late) is None
    echo = json.dumps({**json.loads(MARKER), "redo_at": too_late.isoformat()})
    store.put(bucket, "p/" + MARKER_NAME, echo.encode())
    assert store.read_marker(bucket, "p/", "j", VOLUME, too_late)


@pytest.mark.parametrize("body", [MARKER[:-9], b"", json.dumps({"w_id": "W2"}).encode() + MARKER])
def test_a_marker_that_is_cut_short_says_where(store: Store, bucket: str, body: bytes) -> None:
    store.put(bucket, "p/" + MARKER_NAME, body)
    with pytest.raises(InvalidMarker, match=f"^s3://{bucket}/p/success.json: .*not valid"):
        store.read_marker(bucket, "p/", "j", VOLUME)


@ways
def test_a_missing_bucket_is_not_an_absent_object(
    store: Store, way: Callable[[Store, str], object]
) -> None:
    with pytest.raises(StoreError, match="s3://nobody-made-this does not exist") as caught:
        way(store, "nobody-made-this")
    assert caught.value.reason == "BucketNotFound"


@pytest.mark.parametrize("name", ["B!", "x"])
@ways
def test_so_is_a_name_that_no_bucket_has(
    store: Store, way: Callable[[Store, str], object], name: str
) -> None:
    with pytest.raises(StoreError, match=f"s3://{name}") as caught:
        way(store, name)
    assert caught.value.reason == "BucketNotFound"


@pytest.mark.needs(Trait.SIGNATURES)
@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@all_ways
def test_wrong_credentials_are_forbidden(
    bucket: str, way: Callable[[Store, str], object], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(wrong, "wrong-and-secret")
    with pytest.raises(StoreError, match=f"forbids access to s3://{bucket}/") as caught:
        way(Store(), bucket)
    assert caught.value.reason == "Forbidden"
    assert "wrong-and-secret" not in str(caught.value)


@all_ways
def test_no_credentials_are_forbidden(
    way: Callable[[Store, str], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(StoreError, match="no S3 credentials for s3://bucket/") as caught:
        way(Store(), "bucket")
    assert caught.value.reason == "Forbidden"


@all_ways
def test_a_dead_port_is_unavailable(way: Callable[[Store, str], object]) -> None:
    with pytest.raises(StoreError, match="does not answer for s3://bucket/") as caught:
        way(Store(NOWHERE), "bucket")
    assert caught.value.reason == "Unavailable"


class _Broken(BaseHTTPRequestHandler):
    """A server that answers everything with one status."""

    status: ClassVar[int]

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = handle_any  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def broken_server(status: int) -> Iterator[str]:
    handler = type("Broken", (_Broken,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@all_ways
def test_a_fault_of_the_server_is_unavailable(way: Callable[[Store, str], object]) -> None:
    with broken_server(503) as url, pytest.raises(StoreError, match="503") as caught:
        way(Store(url), "bucket")
    assert caught.value.reason == "Unavailable"


@pytest.mark.parametrize("way", ["get", "read_marker", "list_keys"])
def test_a_404_that_is_not_from_s3_is_no_answer(way: str) -> None:
    with broken_server(404) as url, pytest.raises(StoreError) as caught:
        ASKING[way](Store(url), "bucket")
    assert caught.value.reason == "Unavailable"
