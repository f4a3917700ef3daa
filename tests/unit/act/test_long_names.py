"""Names that a store does not take: asked once for a list, and told with the volume."""

from typing import Any

import pytest

from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.volumes.growth import look_at_list
from bec_operator.act.volumes.manifest import load_manifest
from bec_operator.api.job import JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.settings import Settings
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.store import READ_AT_MOST, Content, Reason, StoreError
from bec_ops.contract.volume import Volume
from tests.support.jobs import items, job
from tests.unit.act.test_manifest import Api
from tests.unit.decide.fake_s3 import FakeStore

LETTERS = "བ"  # nine bytes of a key, each
SHORT = Volume("W1", "I1")
LONG = Volume("W2", LETTERS * 30)
LONGER = Volume("W3", LETTERS * 60)


class FileStore(FakeStore):
    """Keeps keys as files, as versitygw, MinIO and S3Proxy do; `asked` is for which markers.

    As a file system it looks at one name after the other, so that it says of a key in a folder
    that is not there only that it is not there. Others are `strict`.
    """

    def __init__(self, refusal: Reason = "KeyRefused", *, strict: bool = False) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.refusal = refusal
        self.strict = strict
        self.forbidden = False  # what is right in the bucket

    def fetch(self, bucket: str, key: str, limit: int = READ_AT_MOST) -> Content | None:
        self.asked += [key] if key.endswith(MARKER_NAME) else []
        if self.forbidden and key.count("/") == 1:
            raise StoreError("Forbidden", f"s3://{bucket}/{key} is forbidden")
        folder = ""
        for part in key.split("/"):
            if len(part) > 255:
                raise StoreError(self.refusal, f"s3://{bucket}/{key}: 400 KeyTooLongError")
            folder += f"{part}/"
            if not (self.strict or any(each.startswith(folder) for each in self.objects)):
                break
        return super().fetch(bucket, key, limit)


class TellingApi(Api):
    """Takes Events as well."""

    async def request(self, method: str, path: str, *given: Any, **more: Any) -> dict[str, Any]:
        return (
            {} if path.endswith("/events") else await super().request(method, path, *given, **more)
        )


class Stage:
    """A Job of some volumes, and the store that it writes to."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.api = TellingApi()
        storage = Storage(store, 1)
        self.ctx = Context(self.api, storage, Cache(lambda _: None), Clock(), Settings())

    def memory(self, *volumes: Volume, **spec: Any) -> Memory:
        made = job("ocr", "bucket", items(volumes), **spec)
        spec_of_it = JobSpec.model_validate(made["spec"])
        return Memory(JobSeen("texts", "ocr", "uid-job", 1, 1, created="", spec=spec_of_it))

    async def load(self, *volumes: Volume, **spec: Any) -> Memory:
        memory = self.memory(*volumes, **spec)
        await load_manifest(self.ctx, memory)
        return memory


def said_of(memory: Memory) -> tuple[str, str]:
    fact = memory.facts.manifest
    assert fact is not None
    return fact.reason, fact.message


@pytest.mark.parametrize("strict", [True, False])
async def test_a_list_with_a_name_that_the_store_does_not_take_is_refused(strict: bool) -> None:
    stage = Stage(FileStore(strict=strict))
    memory = await stage.load(SHORT, LONG, LONGER)
    reason, message = said_of(memory)
    assert reason == "InvalidManifest"
    for words in (
        f"volume {LONGER}, number 3 of the list: ",
        "has 543 bytes, the longest of 2 that have more than 255, and s3://bucket/",
        "400 KeyTooLongError",
    ):
        assert words in message
    assert memory.ledger is None
    assert stage.api.ledger is None
    assert not stage.store.objects, "nothing is written of a list that is not taken"


async def test_the_store_is_asked_about_the_longest_alone() -> None:
    stage = Stage(FakeStore())
    memory = await stage.load(SHORT, LONGER, LONG)
    assert said_of(memory)[0] == ""
    prefix = memory.books.prefixes[1]
    assert {key for key in stage.store.read if key.endswith(MARKER_NAME)} == {
        f"{prefix}{MARKER_NAME}",
        f"{prefix.removeprefix('artefacts/ocr/')}{MARKER_NAME}",
    }


async def test_a_marker_that_is_there_is_a_good_answer() -> None:
    stage = Stage(FakeStore())
    prefix = f"artefacts/ocr/W2-{'%E0%BD%96' * 30}/"
    stage.store.objects[prefix + MARKER_NAME] = b"{}"
    assert (await stage.load(LONG)).ledger is not None


async def test_an_operator_that_may_read_nothing_else_takes_the_list() -> None:
    store = FileStore()
    store.forbidden = True
    assert (await Stage(store).load(LONG)).ledger is not None
    assert len(store.asked) == 2


async def test_the_store_is_not_asked_where_all_names_are_short() -> None:
    store = FileStore()
    edge = Volume("W4", LETTERS * 28)
    assert (await Stage(store).load(SHORT, edge)).ledger is not None
    parted = {"bucket": "bucket", "prefix": "a/{job_id}/{w_id}/{i_id}-{i_version}/"}
    both = Volume(LETTERS * 25, LETTERS * 25)
    assert (await Stage(store).load(both, output=parted)).ledger is not None
    assert store.asked == []


async def test_a_store_that_does_not_tell_is_no_fault_of_the_list() -> None:
    memory = await Stage(FileStore("Unavailable")).load(LONG)
    assert memory.facts.manifest is None
    assert memory.facts.storage is not None
    assert memory.facts.storage.reason == "StorageUnavailable"


@pytest.mark.parametrize(("refusal", "unknown"), [("KeyRefused", False), ("Unavailable", True)])
async def test_a_list_does_not_grow_by_such_a_name(refusal: Reason, unknown: bool) -> None:
    stage = Stage(FileStore(refusal))
    memory = stage.memory(SHORT, LONG)
    memory.books.volumes, memory.books.ledger = VolumeList.of([SHORT]), Ledger.fresh("0", 1)
    await look_at_list(stage.ctx, memory)
    assert memory.books.listed is not None
    assert memory.books.listed.unknown is unknown
    assert "400 KeyTooLongError" in memory.books.listed.problem
    assert ("number 1 of those that are new" in memory.books.listed.problem) is not unknown
    assert not memory.books.added
