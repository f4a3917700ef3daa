"""A marker from its first writing to its end, and while others look at it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.marker import MARKER_NAME, InvalidMarker, Marker
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume
from tests import stores
from tests.stores import Trait

pytestmark = pytest.mark.stores

PREFIX = "artefacts/ocr/W1-I1/"
KEY = PREFIX + MARKER_NAME
VOLUME = Volume("W1", "I1")
CUT = "a part of one"
MIB = 1024 * 1024


def marker(worker: str, filling: int = 0) -> bytes:
    told = {"worker_id": worker, "success_timestamp": "2026-11-24T12:00:00Z"}
    return json.dumps(told | {"filling": "x" * filling}).encode()


def look(store: Store, bucket: str) -> Marker | None:
    return store.read_marker(bucket, PREFIX, "ocr", VOLUME)


def test_what_was_written_or_deleted_last_is_seen_at_once(
    store: Store, client: S3Client, bucket: str
) -> None:
    assert look(store, bucket) is None
    for round_ in range(20):
        store.put(bucket, KEY, marker(f"w{round_}"))
        found = look(store, bucket)
        assert found is not None
        assert found.worker_id == f"w{round_}"
        assert list(store.list_folders(bucket, "artefacts/ocr/")) == [PREFIX]
        client.delete_object(Bucket=bucket, Key=KEY)
        assert look(store, bucket) is None
        assert list(store.list_keys(bucket, PREFIX)) == []


def test_a_marker_counts_from_redo_at_on(store: Store, bucket: str) -> None:
    """What S3 notes is cut to the second by HEAD and GET on every store, so a moment may be."""
    store.put(bucket, KEY, marker("w"))
    info = store.head(bucket, KEY)
    assert info is not None
    written = info.last_modified
    assert written.microsecond == 0
    for moment, counts in ((written, True), (written + timedelta(seconds=1), False)):
        found = store.read_marker(bucket, PREFIX, "ocr", VOLUME, moment)
        assert (found is not None) == counts


@contextmanager
def overwritten(store: Store, bucket: str) -> Iterator[None]:
    """Write the marker anew all the time, short and long in turn."""
    ending = threading.Event()
    broken: list[BaseException] = []

    def write() -> None:
        try:
            round_ = 0
            while not ending.is_set():
                store.put(bucket, KEY, marker(f"w{round_}", (round_ % 3) * 60_000))
                round_ += 1
        except BaseException as error:  # noqa: BLE001 - it is raised where the test is
            broken.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
    if broken:
        raise broken[0]


def seen_by(store: Store, bucket: str) -> str:
    """Return whose marker stands, or `CUT` where a part of it came."""
    try:
        found = look(store, bucket)
    except InvalidMarker:
        return CUT
    except StoreError as error:
        if error.reason != "Unavailable":
            raise
        return CUT
    assert found is not None
    return found.worker_id


def test_a_marker_that_is_written_anew_is_never_absent(store: Store, bucket: str) -> None:
    """A reader sees the old one or the new one; or, on one store, that it has seen neither."""
    store.put(bucket, KEY, marker("first"))
    with overwritten(store, bucket):
        seen = {seen_by(store, bucket) for _ in range(350)}
        heads = [store.head(bucket, KEY) for _ in range(50)]
        folders = [list(store.list_folders(bucket, "artefacts/ocr/")) for _ in range(20)]
    assert len(seen - {CUT}) > 1
    assert CUT not in seen or Trait.WHOLE_OVERWRITES in stores.chosen().lacks
    assert None not in heads
    assert folders == [[PREFIX]] * 20


@pytest.mark.needs(Trait.OBJECT_LOCK)
def test_a_bucket_with_object_lock_takes_artefacts_and_markers(
    store: Store, client: S3Client, tmp_path: Path
) -> None:
    """Such a bucket wants a checksum with each write, and keeps what is overwritten."""
    bucket = f"locked-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * (9 * MIB // 256))  # more than one part

    store.check_bucket(bucket)
    store.upload(bucket, f"{PREFIX}big.bin", big)
    store.put(bucket, f"{PREFIX}0.txt", b"text")
    for worker in ("first", "second"):
        store.put(bucket, KEY, marker(worker))
        found = look(store, bucket)
        assert found is not None
        assert found.worker_id == worker
    assert store.get(bucket, f"{PREFIX}big.bin") == big.read_bytes()
    assert list(store.list_folders(bucket, "artefacts/ocr/")) == [PREFIX]
