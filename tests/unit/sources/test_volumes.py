"""Sources of volumes: how a change of one is noticed, and what is said of one that is not there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from bec_operator.api.listing import ListingSource
from bec_operator.api.query import SqlSource
from bec_operator.api.volume_source import VolumeSource
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.lists import MAX_VOLUMES
from bec_operator.sources.volumes import SourceError, read_mark, read_volumes
from bec_ops.contract.s3.store import Reason, StoreError, TooLargeError
from bec_ops.contract.volume import Volume

T = TypeVar("T")


@dataclass
class _Reader:
    """One object, and one ConfigMap; `trouble` is what S3 has."""

    body: bytes | None = b"W1,I1\n"
    etag_of_it: str = "e1"
    version: str = "7"
    entries: dict[str, bytes] | None = field(default_factory=lambda: {"list": b"W2,I2\n"})
    trouble: Reason | None = None
    rows_of_it: int = 1
    folders_of_it: int = 1

    async def object(
        self, bucket: str, key: str, limit: int, take: Callable[[Iterable[bytes]], T]
    ) -> T | None:
        self._check(bucket, key)
        if self.body is not None and len(self.body) > limit:
            raise TooLargeError(f"s3://{bucket}/{key}", len(self.body), limit)
        return None if self.body is None else take([self.body])

    async def etag(self, bucket: str, key: str) -> str | None:
        self._check(bucket, key)
        return None if self.body is None else self.etag_of_it

    async def config_map(self, name: str) -> tuple[str, dict[str, bytes]] | None:
        assert name == "map"
        return None if self.entries is None else (self.version, self.entries)

    async def folders(self, source: ListingSource, max_volumes: int) -> VolumeList:
        self._check(*source.uri.removeprefix("s3://").split("/", 1))
        assert max_volumes == MAX_VOLUMES
        return VolumeList.of([Volume("W4", "I4")][: self.folders_of_it])

    async def rows(self, source: SqlSource, max_volumes: int) -> VolumeList:
        assert (source.connection, max_volumes) == ("catalogue", MAX_VOLUMES)
        return VolumeList.of([Volume("W3", "I3")][: self.rows_of_it])

    def _check(self, bucket: str, key: str) -> None:
        assert (bucket, key) in {("b", "a/list.csv"), ("b", "{w_id}/{i_id}/")}
        if self.trouble is not None:
            raise StoreError(self.trouble, "S3 does not answer")


def _source(**given: Any) -> VolumeSource:
    return VolumeSource.model_validate(given)


IN_S3 = _source(manifest={"uri": "s3://b/a/list.csv"})
IN_MAP = _source(configMap={"name": "map", "key": "list"})
INLINE = _source(items=[{"wId": "W3", "iId": "I3"}])


IN_SQL = _source(sql={"connection": "catalogue", "query": "SELECT w_id, i_id FROM volumes"})
IN_FOLDERS = _source(s3={"uri": "s3://b/{w_id}/{i_id}/"})
IN_QUEUE = _source(queue={"connection": "queues", "url": "http://queues/1/volumes"})


async def test_each_source_is_read() -> None:
    assert await read_volumes(IN_SQL, _Reader()) == [Volume("W3", "I3")]
    assert await read_volumes(IN_FOLDERS, _Reader()) == [Volume("W4", "I4")]
    assert await read_volumes(IN_QUEUE, _Reader()) == [], "its messages come one by one"
    assert await read_volumes(IN_S3, _Reader()) == [Volume("W1", "I1")]
    assert await read_volumes(IN_MAP, _Reader()) == [Volume("W2", "I2")]
    assert await read_volumes(INLINE, _Reader()) == [Volume("W3", "I3")]


async def test_a_mark_differs_as_soon_as_the_source_does() -> None:
    marks = {
        await read_mark(IN_S3, _Reader()),
        await read_mark(IN_S3, _Reader(etag_of_it="e2")),
        await read_mark(IN_MAP, _Reader()),
        await read_mark(IN_MAP, _Reader(version="8")),
        await read_mark(_source(configMap={"name": "map", "key": "other"}), _Reader()),
    }
    assert len(marks) == 5
    assert await read_mark(IN_S3, _Reader()) in marks
    assert await read_mark(INLINE, _Reader()) == ""
    assert await read_mark(IN_FOLDERS, _Reader()) == "", "they have to be listed"


async def test_a_query_without_a_row_waits_for_one() -> None:
    with pytest.raises(SourceError, match="the job begins as soon as there are some") as empty:
        await read_volumes(IN_SQL, _Reader(rows_of_it=0))
    assert empty.value.reason == "InvalidManifest"
    with pytest.raises(SourceError, match=r"no folder that fits s3://b/\{w_id\}") as bare:
        await read_volumes(IN_FOLDERS, _Reader(folders_of_it=0))
    assert bare.value.reason == "InvalidManifest"


@pytest.mark.parametrize("read", [read_mark, read_volumes])
async def test_what_is_not_there_is_said(read: Any) -> None:
    with pytest.raises(SourceError, match=r"no object s3://b/a/list\.csv") as missing:
        await read(IN_S3, _Reader(body=None))
    assert not missing.value.unknown
    with pytest.raises(SourceError, match="no ConfigMap map"):
        await read(IN_MAP, _Reader(entries=None))


@pytest.mark.parametrize("read", [read_mark, read_volumes])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("Unavailable", "StorageUnavailable"),
        ("Forbidden", "ManifestForbidden"),
        ("BucketNotFound", "ManifestNotFound"),
    ],
)
async def test_no_answer_is_not_a_missing_list(read: Any, trouble: Reason, reason: str) -> None:
    with pytest.raises(SourceError) as raised:
        await read(IN_S3, _Reader(trouble=trouble))
    assert raised.value.reason == reason
    assert raised.value.unknown is (trouble == "Unavailable")
    with pytest.raises(SourceError) as folders:
        await read_volumes(IN_FOLDERS, _Reader(trouble=trouble))
    assert folders.value.reason == reason
    assert folders.value.unknown is (trouble == "Unavailable")


async def test_an_object_that_is_too_large_is_no_list() -> None:
    """`terascope/teraslice#3595`, `fluxcd/source-controller#901`: known from its size alone."""
    with pytest.raises(SourceError, match=r"uri: s3://b/a/list.csv has 2,000,000 bytes") as raised:
        await read_volumes(IN_S3, _Reader(body=b"y\n" * 1_000_000), max_volumes=10)
    assert raised.value.reason == "InvalidManifest"


async def test_a_list_has_a_limit_of_volumes_wherever_it_is() -> None:
    reader = _Reader(b"W,I1\nW,I2\nW,I3\n", entries={"list": b"W,I1\nW,I2\nW,I3\n"})
    for source in (IN_S3, IN_MAP):
        assert len(await read_volumes(source, reader, max_volumes=3)) == 3
        with pytest.raises(SourceError, match="line 3: more than 2 volumes; split"):
            await read_volumes(source, reader, max_volumes=2)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ({"wId": "W1\u200b"}, r"items\[1\]: w_id: .*U\+200B"),
        ({"iId": "\ufeffI1"}, r"items\[1\]: i_id: .*U\+FEFF"),
        (
            {"iVersion": "v\u00a0"},
            r"items\[1\]: i_version: .*begins or ends with a blank \(U\+00A0",
        ),
        (
            {"wId": "W0"},
            r"items\[1\]: the volume W0/I1 is items\[0\] already; write each volume once",
        ),
        ({"wId": "W0", "iVersion": ""}, r"items\[1\]: the volume W0/I1 is items\[0\] already"),
    ],
)
async def test_inline_volumes_are_judged_as_those_of_a_list(ids: dict[str, str], said: str) -> None:
    """`whitfin/s3-concat#3`: what nobody sees; and each volume once: the API server takes any."""
    good = {"wId": "W0", "iId": "I1"}
    source = _source(items=[good, {"wId": "W1", "iId": "I1", **ids}])
    with pytest.raises(SourceError, match=rf"^spec.volumes.{said}") as raised:
        await read_volumes(source, _Reader())
    assert raised.value.reason == "InvalidManifest"
    versions = _source(items=[good, {**good, "iVersion": "v1"}])
    assert await read_volumes(versions, _Reader()) == [Volume("W0", "I1"), Volume("W0", "I1", "v1")]
