"""The store against what was seen of other stores than ours, played by a proxy before a real one.

Where a finding comes from, and on which servers, stands in docs/volumes-and-outputs.md.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.marker import MARKER_NAME
from bec_ops.store import Store, StoreError
from bec_ops.volume import Volume
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
    assert reason_of(lambda: way(store, bucket, f"p/vol/{MARKER_NAME}")) == "KeyRefused"


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
