"""The store against what was seen of other stores than ours, played by a proxy before a real one.

Where a finding comes from, and on which servers, stands in docs/volumes-and-outputs.md.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.store import Patience, Store, StoreError, StoreSettings
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.test_store import ASKING, MARKER, VOLUME, WRITING, ways
from tests.support.s3_faults import Request, S3Faults, Said

LONG = "%E0%BD%80" * 29  # 29 Tibetan letters: 261 bytes, and names of files have 255
Call = Callable[[Store, str, str], object]
KEYED: dict[str, Call] = {
    "get": lambda store, bucket, key: store.get(bucket, key),
    "head": lambda store, bucket, key: store.head(bucket, key),
    "read_marker": lambda store, bucket, key: store.read_marker(
        bucket, key.removesuffix(MARKER_NAME), "j", VOLUME
    ),
    "put": lambda store, bucket, key: store.put(bucket, key, b"x"),
    "upload": lambda store, bucket, key: store.upload(bucket, key, Path(__file__)),
}
keyed = pytest.mark.parametrize("way", KEYED.values(), ids=KEYED)
READING = {name: KEYED[name] for name in ("get", "head", "read_marker")}


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture
def faults(proxy: S3Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Faults]:
    """The proxy, which is well before and after each test; a Store() asks through it."""
    for name, value in proxy.s3.environment().items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.heal()


@pytest.fixture
def store(faults: S3Faults) -> Store:
    del faults
    return Store()


def reason_of(act: Callable[[], object], words: str = ".") -> str:
    with pytest.raises(StoreError, match=words) as caught:
        act()
    return caught.value.reason


@keyed
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "KeyTooLongError"), (400, "XMinioInvalidObjectName"), (500, "InternalError")],
)
def test_a_key_that_a_store_cannot_hold_is_the_keys_fault(
    store: Store, faults: S3Faults, bucket: str, way: Call, status: int, code: str
) -> None:
    """F1: versitygw, MinIO and S3Proxy keep keys as files, whose names have 255 bytes."""
    faults.refuse(status, key=LONG, said=Said(code, "no such name"))
    key = f"p/{LONG}/{MARKER_NAME}"
    assert reason_of(lambda: way(store, bucket, key), f"{key} .*261") == "KeyRefused"

    store.put(bucket, f"p/vol/{MARKER_NAME}", MARKER)
    assert store.read_marker(bucket, "p/vol/", "j", Volume("W1", "I1"))


@pytest.mark.parametrize("name", ["head", "put"])
def test_a_refusal_without_words_is_the_keys_fault_too(
    store: Store, faults: S3Faults, bucket: str, name: str
) -> None:
    """F1: a HEAD has no body, and S3Proxy 3 says nothing at all."""
    faults.refuse(500, "HeadObject", LONG)
    faults.refuse(500, "PutObject", LONG)
    key = f"p/{LONG}/{MARKER_NAME}"
    assert reason_of(lambda: KEYED[name](store, bucket, key)) == "KeyRefused"


@keyed
def test_what_is_below_an_object_is_its_fault(
    store: Store, faults: S3Faults, bucket: str, way: Call
) -> None:
    """F6: S3Proxy says 500 to all below `p/vol` if there is an object of that name."""
    store.put(bucket, "p/vol", b"")
    faults.refuse(500, key="/p/vol/")
    words = f"s3://{bucket}/p/vol is an object"
    assert reason_of(lambda: way(store, bucket, f"p/vol/{MARKER_NAME}"), words) == "KeyRefused"


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("folder", [LONG, "vol"], ids=["long part", "below an object"])
def test_no_key_is_given_up_for_a_hiccup(
    store: Store, faults: S3Faults, bucket: str, folder: str, name: str
) -> None:
    """Our store can hold both, as that of AWS can, and says 500 now and then, as that does."""
    store.put(bucket, "p/vol", b"")
    key, left = f"p/{folder}/{MARKER_NAME}", iter(range(3))  # as often as it is asked at first
    faults.refuse(500, key=f"/{folder}/", where=lambda _: next(left, None) is not None)
    act = partial(READING[name], store, bucket, key)
    assert reason_of(act, "500|Internal") == "KeyUnanswered"
    assert not act()


def test_a_worker_asks_again_for_a_long_key_too(faults: S3Faults, bucket: str) -> None:
    left = iter(range(2))
    faults.refuse(500, key=LONG, where=lambda _: next(left, None) is not None)
    assert Store(patience=Patience(60)).get(bucket, f"p/{LONG}/{MARKER_NAME}") is None


def test_a_worker_does_not_wait_for_a_key_that_a_store_cannot_hold(
    faults: S3Faults, bucket: str
) -> None:
    faults.refuse(500, key=LONG)
    store, begun = Store(patience=Patience(300)), time.monotonic()
    assert reason_of(lambda: store.put(bucket, f"p/{LONG}/{MARKER_NAME}", b"")) == "KeyRefused"
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("name", READING)
def test_one_key_that_is_not_answered_is_not_the_storage(
    store: Store, faults: S3Faults, bucket: str, name: str
) -> None:
    """Nor is it a fault of the key: it may heal, so nothing is said of the object."""
    faults.refuse(500, key="/p/vol/")
    key = f"p/vol/{MARKER_NAME}"
    assert reason_of(lambda: READING[name](store, bucket, key), "500|Internal") == "KeyUnanswered"


@pytest.mark.parametrize("name", ["put", "upload"])
def test_a_write_that_fails_may_have_other_reasons(
    store: Store, faults: S3Faults, bucket: str, name: str
) -> None:
    """A full disk, a KMS key that is gone: no volume is given up for that, whatever its name."""
    faults.refuse(500, "PutObject")
    for key in (f"p/vol/{MARKER_NAME}", f"p/{LONG}/{MARKER_NAME}"):
        assert reason_of(partial(KEYED[name], store, bucket, key)) == "Unavailable"
    faults.heal()
    faults.refuse(400, "PutObject", said=Said("KMS.NotFoundException", "no such key"))
    assert reason_of(lambda: KEYED[name](store, bucket, key), "no such key") == "Unavailable"


@keyed
def test_a_storage_that_is_out_of_order_is_no_keys_fault(
    store: Store, faults: S3Faults, bucket: str, way: Call
) -> None:
    faults.refuse(500)
    for key in (f"p/vol/{MARKER_NAME}", f"p/{LONG}/{MARKER_NAME}"):
        assert reason_of(partial(way, store, bucket, key)) == "Unavailable"


def test_a_store_that_refuses_a_place_beside_a_token(
    store: Store, faults: S3Faults, bucket: str, client: S3Client
) -> None:
    """F2: S3Proxy 3.1 and 3.3, whose second page never came."""
    with ThreadPoolExecutor(8) as pool:
        keys = [f"p/{number:04}/x" for number in range(1200)]
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key), keys))

    def has_both(request: Request) -> bool:
        return {"start-after", "continuation-token"} <= request.query.keys()

    faults.refuse(400, "ListObjectsV2", where=has_both, said=Said("InvalidArgument"))
    found = list(store.list_folders(bucket, "p/", "p/0003"))
    assert set(found) >= {f"p/{number:04}/" for number in range(3, 1200)}


def test_a_bucket_is_checked_by_a_list(store: Store, faults: S3Faults, bucket: str) -> None:
    """F3: Garage and versitygw answer a HEAD with 400 where the region is another."""
    faults.refuse(400, "HeadBucket")
    store.check_bucket(bucket, "artefacts/")


@ways
def test_a_region_that_the_store_wants_is_named(
    store: Store, faults: S3Faults, bucket: str, way: Callable[[Store, str], object]
) -> None:
    """F3: with the name of the setting, in whatever form the store says it."""
    wrong = Said("AuthorizationHeaderMalformed", "wrong", {"Region": "garage"})
    faults.refuse(400, said=wrong)
    words = r"region 'garage'.*set .*s3.region.*AWS_REGION"
    assert reason_of(lambda: way(store, bucket), words) == "Unavailable"

    faults.heal()
    faults.refuse(301, said=Said("PermanentRedirect", headers={"x-amz-bucket-region": "garage"}))
    assert reason_of(lambda: way(store, bucket), words) == "Unavailable"


@pytest.mark.parametrize("way", (ASKING | WRITING).values(), ids=ASKING | WRITING)
def test_an_unknown_access_key_is_forbidden(
    store: Store, faults: S3Faults, bucket: str, way: Callable[[Store, str], object]
) -> None:
    """F4: versitygw says 404 XAdminUserNotFound."""
    faults.refuse(404, said=Said("XAdminUserNotFound", "no such user"))
    assert reason_of(lambda: way(store, bucket), "no such user") == "Forbidden"


@pytest.mark.parametrize("way", (ASKING | WRITING).values(), ids=ASKING | WRITING)
def test_a_name_that_no_bucket_can_have(
    store: Store, faults: S3Faults, way: Callable[[Store, str], object]
) -> None:
    """F5: versitygw, MinIO and s3s-fs say 400 to each way of asking."""
    faults.refuse(400, said=Said("InvalidBucketName"))
    assert reason_of(lambda: way(store, "a..b"), "a..b does not exist") == "BucketNotFound"


@pytest.mark.parametrize("name", READING)
def test_a_key_is_absent_only_from_a_bucket_that_is_there(
    store: Store, faults: S3Faults, name: str
) -> None:
    """F8: s3s-fs says NoSuchKey of a missing bucket."""
    faults.refuse(404, "GetObject", said=Said("NoSuchKey"))
    act = READING[name]
    assert reason_of(lambda: act(store, "nobody-made-this", "p/x")) == "BucketNotFound"


def test_a_bucket_is_asked_for_once(store: Store, faults: S3Faults, bucket: str) -> None:
    """Who may not list it is told by that that it is there."""
    faults.refuse(403, "ListObjectsV2")
    before = faults.requests["ListObjectsV2"]
    for number in range(5):
        assert store.get(bucket, f"p/{number}") is None
    assert faults.requests["ListObjectsV2"] == before + 1


# --- what buckets demand


LOCKED = Said(
    "InvalidRequest",
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object "
    "Lock parameters",
)


def has_no_checksum(request: Request) -> bool:
    return "Content-MD5" not in request.headers


@pytest.mark.parametrize("size", [10, 9 * 1024 * 1024], ids=["in one", "in parts"])
def test_a_bucket_with_object_lock_gets_checksums(
    store: Store, faults: S3Faults, bucket: str, tmp_path: Path, size: int
) -> None:
    """s3tools/s3cmd#1177, minio/minio#16480: it says once that it wants them, and has them then."""
    refused: list[str] = []

    def is_refused(request: Request) -> bool:
        without = has_no_checksum(request)
        refused.extend([request.path] if without and request.method == "PUT" else [])
        return without

    file, body = tmp_path / "file", bytes(range(250)) * (size // 250) + b"end"
    file.write_bytes(body)
    faults.refuse(400, "PutObject", said=LOCKED, where=is_refused)
    store.upload(bucket, "a/file", file)
    store.put(bucket, "a/one", b"one")
    assert len(refused) <= 10  # the parts that were under way at once
    seen = len(refused)
    store.put(bucket, "a/two", b"two")
    store.upload(bucket, "a/again", file)
    assert len(refused) == seen
    assert store.get(bucket, "a/file") == store.get(bucket, "a/again") == body
    assert (store.get(bucket, "a/one"), store.get(bucket, "a/two")) == (b"one", b"two")


def test_a_checksum_that_is_wrong_is_not_sent_for_ever(
    store: Store, faults: S3Faults, bucket: str
) -> None:
    faults.refuse(400, "PutObject", said=Said("InvalidDigest", "The Content-MD5 is not valid"))
    before = faults.requests["PutObject"]
    assert reason_of(lambda: store.put(bucket, "a", b"x"), "InvalidDigest") == "Unavailable"
    assert faults.requests["PutObject"] == before + 2


DEMANDED = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
}
OF_ALL = {"x-amz-expected-bucket-owner": "111122223333", "x-amz-request-payer": "requester"}


@pytest.mark.parametrize("size", [10, 9 * 1024 * 1024], ids=["in one", "in parts"])
def test_what_a_bucket_demands_is_sent_with_each_request(
    faults: S3Faults, bucket: str, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """awslabs/mountpoint-s3#534, gomods/athens#2165: policies that refuse writes without."""
    for name, value in {
        "BEC_S3_SERVER_SIDE_ENCRYPTION": "aws:kms",
        "BEC_S3_KMS_KEY_ID": "key-1",
        "BEC_S3_EXPECTED_BUCKET_OWNER": "111122223333",
        "BEC_S3_REQUESTER_PAYS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    missing: list[str] = []
    kept: list[str] = []

    def note(request: Request) -> bool:
        of_part = "uploadId" in request.query
        begins = request.method in {"PUT", "POST"} and not of_part
        wanted = OF_ALL | (DEMANDED if begins else {})
        kept.extend(name for name in DEMANDED if begins and name in request.headers)
        missing.extend(
            f"{request.method} {request.path_qs}: {name}"
            for name, value in wanted.items()
            if request.headers.get(name) != value
        )
        return begins  # our store has no KMS: what it is told is what matters

    faults.refuse(403, where=note)
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    store = Store()
    for act in (
        lambda: store.put(bucket, "a", b"x"),
        lambda: store.upload(bucket, "b", file),
    ):
        assert reason_of(act) == "Forbidden"
    assert store.get(bucket, "c") is None
    assert store.head(bucket, "c") is None
    assert list(store.list_keys(bucket, "d/")) == list(store.list_folders(bucket, "d/")) == []
    assert missing == []
    assert len(kept) == 2 * len(DEMANDED)


# --- patience


def busy_at_first(faults: S3Faults, status: int) -> Counter[str]:
    """Have each request refused four times, which is more than boto3 itself tries."""
    tries = Counter[str]()

    def is_busy(request: Request) -> bool:
        tries[request.path_qs] += 1
        return tries[request.path_qs] <= 4

    faults.refuse(status, "PutObject", where=is_busy)
    return tries


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_worker_waits_for_a_store_that_is_busy(
    faults: S3Faults, bucket: str, status: int
) -> None:
    tries = busy_at_first(faults, status)
    store = Store(patience=Patience(60))
    store.put(bucket, "a", b"x")
    assert store.get(bucket, "a") == b"x"
    assert list(tries.values()) == [5]


def test_each_part_of_an_upload_is_as_patient(
    faults: S3Faults, bucket: str, tmp_path: Path
) -> None:
    tries, file = busy_at_first(faults, 503), tmp_path / "file"
    file.write_bytes(bytes(9 * 1024 * 1024))
    store = Store(patience=Patience(60))
    store.upload(bucket, "b", file)
    assert store.get(bucket, "b") == file.read_bytes()
    assert len(tries) >= 2
    assert set(tries.values()) == {5}


def test_patience_has_an_end(faults: S3Faults, bucket: str) -> None:
    faults.refuse(503)
    store = Store(patience=Patience(3))
    begun = time.monotonic()
    assert reason_of(lambda: store.put(bucket, "a", b"x")) == "Unavailable"
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["put", "upload"])
def test_who_is_to_stop_waits_no_longer(faults: S3Faults, bucket: str, name: str) -> None:
    stop = threading.Event()
    store = Store(patience=Patience(600, stop.is_set))
    faults.refuse(503)
    threading.Timer(2.0, stop.set).start()
    begun = time.monotonic()
    assert reason_of(partial(KEYED[name], store, bucket, "a")) == "Unavailable"
    assert 1.5 < time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BEC_S3_SERVER_SIDE_ENCRYPTION", "none", "AES256"),
        ("BEC_S3_EXPECTED_BUCKET_OWNER", "me", "BEC_S3_EXPECTED_BUCKET_OWNER"),
        ("BEC_S3_KMS_KEY_ID", "key-1", "aws:kms"),
    ],
)
def test_settings_that_are_wrong_are_named(name: str, value: str, words: str) -> None:
    with pytest.raises(MisconfiguredError, match=words):
        StoreSettings.from_environment({name: value})
