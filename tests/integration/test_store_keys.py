"""Keys that some stores cannot hold: that is the matter of one volume, and never of the storage."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume
from tests import stores
from tests.stores import Trait

pytestmark = pytest.mark.stores

TEMPLATE = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")
TIBETAN = "བོད་ཡིག་གི་དཔེ་མཛོད་ནང་དུ་ཡོད"  # 29 characters, each of nine bytes when it is escaped
LONG = Volume("W1", TIBETAN)
SHORT = Volume("W1", "I1")
MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}'

ASKING: dict[str, Callable[[Store, str, str], object]] = {
    "get": lambda store, bucket, key: store.get(bucket, key),
    "head": lambda store, bucket, key: store.head(bucket, key),
    "read_marker": lambda store, bucket, key: store.read_marker(
        bucket, key.removesuffix(MARKER_NAME), "j", LONG
    ),
}
WRITING: dict[str, Callable[[Store, str, str], object]] = {
    "put": lambda store, bucket, key: store.put(bucket, key, MARKER),
    "upload": lambda store, bucket, key: store.upload(bucket, key, Path(__file__)),
}


def lacks(trait: Trait) -> bool:
    return trait in stores.chosen().lacks


def about_the_key(work: Callable[[], object]) -> StoreError:
    """Do what this store cannot do, and see that it is said of the key alone."""
    with pytest.raises(StoreError) as caught:
        work()
    assert caught.value.of_one_key, caught.value
    return caught.value


@pytest.fixture
def used(store: Store, bucket: str) -> str:
    """A bucket in which another volume of the job is done."""
    store.put(bucket, TEMPLATE.prefix("j", SHORT) + MARKER_NAME, MARKER)
    return bucket


@pytest.mark.parametrize("way", ASKING.values(), ids=ASKING)
def test_a_look_at_a_name_that_is_too_long(
    store: Store, used: str, way: Callable[[Store, str, str], object]
) -> None:
    """Nothing of this name can be there; what else there is in the store is as it was."""
    key = TEMPLATE.prefix("j", LONG) + MARKER_NAME
    if lacks(Trait.LONG_NAMES):
        message = str(about_the_key(lambda: way(store, used, key)))
        assert f"s3://{used}/{key}" in message
        assert str(len(key.split("/")[2])) in message  # bytes of the part that is too long
    else:
        assert way(store, used, key) is None
    assert store.read_marker(used, TEMPLATE.prefix("j", SHORT), "j", SHORT)


@pytest.mark.parametrize("way", WRITING.values(), ids=WRITING)
def test_a_write_to_a_name_that_is_too_long(
    store: Store, used: str, way: Callable[[Store, str, str], object]
) -> None:
    key = TEMPLATE.prefix("j", LONG) + "0.txt"
    folders = [TEMPLATE.volume_folder("j", SHORT)]
    if lacks(Trait.LONG_NAMES):
        assert f"s3://{used}/{key}" in str(about_the_key(lambda: way(store, used, key)))
    else:
        way(store, used, key)
        assert store.get(used, key) is not None
        folders.append(TEMPLATE.volume_folder("j", LONG))
    assert sorted(store.list_folders(used, "artefacts/j/")) == sorted(folders)


def test_an_object_that_is_called_as_a_folder_was_there_first(
    store: Store, used: str, client: S3Client
) -> None:
    """Its volume is done where the store has room for both, and is seen to be."""
    volume = Volume("W1", "I2")
    prefix = TEMPLATE.prefix("j", volume)
    client.put_object(Bucket=used, Key=prefix[:-1], Body=b"not a folder")
    if lacks(Trait.FOLDER_AND_OBJECT):
        about_the_key(lambda: store.put(used, prefix + MARKER_NAME, MARKER))
    else:
        assert store.read_marker(used, prefix, "j", volume) is None
        store.put(used, prefix + MARKER_NAME, MARKER)
        assert store.read_marker(used, prefix, "j", volume)
        assert prefix in set(store.list_folders(used, "artefacts/j/"))
    assert store.read_marker(used, TEMPLATE.prefix("j", SHORT), "j", SHORT)
    assert TEMPLATE.prefix("j", SHORT) in set(store.list_folders(used, "artefacts/j/"))


@pytest.mark.needs(Trait.FOLDER_AND_OBJECT)
def test_an_object_that_is_called_as_a_folder_comes_later(
    store: Store, used: str, client: S3Client
) -> None:
    """One store's LIST has nothing below it any more; the volume is done all the same."""
    prefix = TEMPLATE.prefix("j", SHORT)
    client.put_object(Bucket=used, Key=prefix[:-1], Body=b"not a folder")
    assert store.read_marker(used, prefix, "j", SHORT)
    assert prefix in set(store.list_folders(used, "artefacts/j/"))
    assert prefix in set(store.list_folders(used, "artefacts/j/", prefix[:-1]))


def test_a_look_below_an_object_is_no_trouble_of_the_storage(
    store: Store, used: str, client: S3Client
) -> None:
    """Where the two cannot be, it may be told of the key, or that there is nothing."""
    client.put_object(Bucket=used, Key="artefacts/j/W1-I3", Body=b"not a folder")
    refusals = [trouble(store, used, f"artefacts/j/W1-I3/{name}") for name in ("a", MARKER_NAME)]
    if lacks(Trait.FOLDER_AND_OBJECT):
        assert all(refusal is None or refusal.of_one_key for refusal in refusals)
    else:
        assert refusals == [None, None]


def trouble(store: Store, bucket: str, key: str) -> StoreError | None:
    """Return what keeps the store from saying that nothing is there."""
    try:
        assert store.get(bucket, key) is None
    except StoreError as error:
        return error
    return None
