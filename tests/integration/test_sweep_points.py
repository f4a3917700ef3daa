"""The sweep after a restart, at many points of a list: no store's order hides what is done.

Stores disagree about the order of `vol5`, `vol5-b` and `vol50`, whether a list begins at or after
the name that is given, and whether a folder has its slash when it is compared.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest
from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.storage.sweep import sweep
from bec_operator.api.base import DEFAULT_PREFIX
from bec_operator.api.job import JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.settings import Settings
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from tests.support.jobs import job
from tests.support.space import remove_bucket

pytestmark = pytest.mark.stores

KINDS = 1200  # numbers, each of which is in the names of three folders that are there
POINTS = 32  # of the list at which the operator begins anew
JOB = "points"
COMMON = f"artefacts/{JOB}/"


@dataclass(frozen=True)
class Filled:
    """A bucket in which most of the volumes, which are in the order of their bytes, are done."""

    bucket: str
    volumes: list[Volume]
    prefixes: list[str]
    done: frozenset[int]


def _volumes() -> list[Volume]:
    """Return volumes whose folders are begun by each other's names, and some that are not done."""
    there = [
        volume
        for number in range(KINDS)
        for volume in (
            Volume("W", f"vol{number}"),
            Volume("W", f"vol{number}", "b"),
            Volume("W", f"ཀ{number}"),
        )
    ]
    return there + [Volume("W", f"vol{number}", "none") for number in range(0, KINDS, 5)]


@pytest.fixture(scope="module")
def filled(client: S3Client) -> Iterator[Filled]:
    template = OutputTemplate.parse(DEFAULT_PREFIX)
    by_prefix = {template.prefix(JOB, volume): volume for volume in _volumes()}
    prefixes = sorted(by_prefix, key=str.encode)
    volumes = [by_prefix[prefix] for prefix in prefixes]
    done = frozenset(n for n, volume in enumerate(volumes) if volume.i_version != "none")
    bucket = f"points-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(16) as pool:
        keys = [f"{prefixes[index]}success.json" for index in done]
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"{}"), keys))
    yield Filled(bucket, volumes, prefixes, done)
    remove_bucket(client, bucket)


def _points(total: int) -> list[int]:
    """Return the ends of the list, and places between them, always the same."""
    return [0, 1, total - 1, *sorted(random.Random(13).sample(range(total), POINTS - 3))]


async def test_the_operator_finds_what_is_done_from_wherever_it_begins(
    filled: Filled, store: Store
) -> None:
    """All before a point is settled in the ledger; of the rest, what has a folder is found."""
    ctx = Context(
        api=ApiServer.__new__(ApiServer),  # which nobody calls
        storage=Storage(store, 4),
        cache=Cache(lambda _: None),
        clock=Clock(),
        settings=Settings(),
    )
    spec = JobSpec.model_validate(job(JOB, filled.bucket, filled.volumes[:1])["spec"])
    total = len(filled.volumes)
    for point in _points(total):
        entries = bytearray(total)
        entries[:point] = bytes([Outcome.SUCCEEDED]) * point
        memory = Memory(JobSeen("ns", JOB, "uid", 1, 1, "2026", spec))
        memory.load(filled.volumes, filled.prefixes, Ledger("", entries), 0.0)
        await sweep(ctx, memory)
        assert memory.facts.storage is None, memory.facts.storage
        assert memory.books.markers.swept == total
        to_be_read = memory.books.frontier.first(VolumeState.UNCHECKED, total)
        assert to_be_read == [n for n in range(point, total) if n in filled.done], point


def test_a_list_from_any_name_on_holds_all_that_come_after_it(filled: Filled, store: Store) -> None:
    """Also from names that no folder has, and from such as end within one."""
    folders = [filled.prefixes[index] for index in sorted(filled.done)]
    some = random.Random(7).sample(folders, 11)
    firsts = [COMMON, f"{COMMON}~", f"{COMMON}W-vol5"]
    for folder in some:
        firsts += [folder[:-1], folder[:-2], folder[:-1] + "-"]
    for first in firsts:
        found = set(store.list_folders(filled.bucket, COMMON, first))
        assert found >= {folder for folder in folders if folder[:-1] >= first}, first
        assert found <= set(folders)
    assert set(store.list_folders(filled.bucket, COMMON)) == set(folders)


def test_a_list_from_near_its_end_is_short(filled: Filled, store: Store) -> None:
    """What is before the first volume that is not settled costs no request."""
    folders = [filled.prefixes[index] for index in sorted(filled.done)]
    near = list(store.list_folders(filled.bucket, COMMON, folders[-100][:-1]))
    assert len(near) <= 1000
