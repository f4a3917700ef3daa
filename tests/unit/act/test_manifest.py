"""Manifest and ledger, where what is stored is not what we wrote, or cannot be stored."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from bec_operator.act.ground.api_server import JSON, ApiError, ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import AGAIN_AT_MOST, Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.volumes.manifest import QUOTA_AGAIN_AFTER, load_manifest
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList
from bec_operator.settings import Settings
from tests.unit.decide.fake_s3 import FakeStore
from tests.unit.worker_api.scene import JOB

Object = dict[str, Any]
FOLDER = "artefacts/ocr/_job/"
NOW = 1000.0


class Api(ApiServer):
    """Has one ConfigMap at most; `refusal` is what it says to a new one."""

    def __init__(self) -> None:
        self.ledger: Object | None = None
        self.refusal: ApiError | None = None

    async def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        del content_type, accept, query
        if method == "POST":
            assert path.endswith("/configmaps")
            assert body is not None
            if self.refusal is not None:
                raise self.refusal
            self.ledger = body
            body["metadata"]["resourceVersion"] = "1"
        if self.ledger is None:
            raise ApiError(404, "NotFound", "there is none")
        return self.ledger


class SlowClock(Clock):
    """A clock that goes on by some seconds with each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.time, self.step = NOW, step

    def now(self) -> float:
        self.time += self.step
        return self.time


class Stage:
    """A Job whose list is in S3."""

    def __init__(self, step: float = 0.0, **settings: Any) -> None:
        self.api, self.store = Api(), FakeStore()
        storage, clock = Storage(self.store, 1), SlowClock(step)
        self.ctx = Context(self.api, storage, Cache(lambda _: None), clock, Settings(**settings))

    async def load(self) -> Memory:
        memory = Memory(JOB)
        await load_manifest(self.ctx, memory)
        return memory

    async def refused(self) -> tuple[str, str]:
        fact = (await self.load()).facts.manifest
        assert fact is not None
        return fact.reason, fact.message

    def manifest(self) -> str:
        (key,) = (key for key in self.store.objects if key.startswith(f"{FOLDER}manifest-"))
        return key


async def test_what_is_frozen_is_loaded_again() -> None:
    stage = Stage()
    first, again = await stage.load(), await stage.load()
    assert isinstance(again.books.volumes, VolumeList)
    assert isinstance(again.books.prefixes, Prefixes)
    assert len(again.books.volumes) > 0
    assert again.books.volumes == first.books.volumes
    assert list(again.books.prefixes) == list(first.books.prefixes)


async def test_a_full_quota_is_told_and_not_tried_all_the_time() -> None:
    """`UKGovernmentBEIS/inspect_k8s_sandbox#79`, `cloudnative-pg/cloudnative-pg#1028`."""
    stage = Stage()
    said = 'configmaps "ocr-ledger" is forbidden: exceeded quota: few, used: count/configmaps=3'
    stage.api.refusal = ApiError(403, "Forbidden", said)
    memory = await stage.load()
    fact = memory.facts.manifest
    assert fact is not None
    assert fact.reason == "QuotaExceeded"
    assert said in fact.message
    assert fact.at == NOW + QUOTA_AGAIN_AFTER
    stage.api.refusal = None
    assert (await stage.load()).ledger is not None


async def test_what_took_long_is_read_again_later() -> None:
    for step, later in ((0.0, 0.0), (2.0, 0.0), (5.0, 60.0), (100.0, AGAIN_AT_MOST)):
        stage = Stage(step)
        stage.api.refusal = ApiError(403, "Forbidden", "you may not")
        fact = (await stage.load()).facts.manifest
        assert fact is not None
        assert fact.at == stage.ctx.clock.now() - step + later


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"retryFailedAt": "x", "retryFailedAt.until": "soon", "retryFailedAt.honoured": "x"}, ""),
        ({"redoAt": "x"}, "redoAt.until"),
        ({"total": "-1"}, "cannot be of -1 volumes"),
        ({"total": "99999999999"}, "cannot be of 99999999999 volumes"),
        ({"total": "many"}, "many"),
    ],
)
async def test_a_ledger_that_somebody_has_changed(data: dict[str, str], said: str) -> None:
    stage = Stage()
    await stage.load()
    assert stage.api.ledger is not None
    stage.api.ledger["data"].update(data)
    reason, message = await stage.refused()
    assert reason == "LedgerUnreadable"
    assert said in message


async def test_a_ledger_that_unpacks_to_much_more() -> None:
    stage = Stage()
    await stage.load()
    assert stage.api.ledger is not None
    stage.api.ledger["binaryData"]["ledger"] = base64.b64encode(b"x" * 99).decode()
    assert (await stage.refused())[0] == "LedgerUnreadable"


async def test_a_manifest_that_is_far_too_large_is_not_read() -> None:
    stage = Stage()
    await stage.load()
    stage.store.objects[stage.manifest()] = b"x" * 5_000_000
    reason, message = await stage.refused()
    assert reason == "ManifestLost"
    assert "has 5,000,000 bytes; at most" in message
    assert "put it back, or delete ConfigMap ocr-ledger" in message


async def test_a_manifest_of_another_content() -> None:
    stage = Stage()
    await stage.load()
    stage.store.objects[stage.manifest()] = b"[" * 5000
    reason, message = await stage.refused()
    assert reason == "ManifestLost"
    assert "its SHA-256 is not the one in the ledger" in message or "more than" in message
