"""Volumes with names that a store over a file system does not take: told as soon as they are read.

The store is played: SeaweedFS behind a proxy that refuses keys as versitygw 1.8 does, and MinIO and
S3Proxy with other words.
"""

from collections.abc import Iterator

import pytest

from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import condition, counts, csv, is_true, items, job, manifest
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.s3_faults import Request, S3Faults, Said
from tests.support.space import Space
from tests.support.workers import Workers

KEY = "lists/volumes.csv"
WORDS = "KeyTooLongError: Your key is too long"
GOOD = [Volume("W1", "I1"), Volume("W1", "I2")]
LONG = Volume("W1", "བ" * 30)
LONGER = Volume("W1", "བ" * 40)
SIZE = len("W1-") + 40 * 9


def is_long(request: Request) -> bool:
    """Whether a name of the key is longer than a file's may be."""
    return any(len(part.encode()) > 255 for part in request.path.split("/"))


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module", autouse=True)
def operator(make_operator: MakeOperator, proxy: S3Faults) -> Iterator[Operator]:
    with make_operator(s3=proxy.s3, list_every=1.0) as operator:
        yield operator


@pytest.fixture
def files(proxy: S3Faults) -> Iterator[None]:
    """Let the store keep its keys as files."""
    code, _, message = WORDS.partition(": ")
    proxy.refuse(400, said=Said(code, message), where=is_long)
    yield
    proxy.heal()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("inline", [False, True])
def test_a_list_is_refused_with_the_words_of_the_store(
    space: Space, workers: Workers, inline: bool
) -> None:
    def source(volumes: list[Volume]) -> Body:
        space.put(KEY, csv(volumes))
        return items(volumes) if inline else manifest(space.bucket, KEY)

    live = space.submit(job("long", space.bucket, source([GOOD[0], LONG, LONGER])))

    message = live.wait_stalled("InvalidManifest")
    for words in (f"volume {LONGER}, number 3 of the list", f"{SIZE} bytes", "of 2", WORDS):
        assert words in message
    assert space.ledger("long") is None
    assert not workers.runs.all()

    volumes = source(GOOD)
    if inline:
        live.patch(volumes=volumes)
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


@pytest.mark.usefixtures("files")
def test_a_list_does_not_grow_by_such_a_volume(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    space.put(KEY, csv(GOOD))
    live = space.submit(job("grow", space.bucket, manifest(space.bucket, KEY)))
    workers.running(2)

    space.put(KEY, csv([*GOOD, LONG]))
    found = live.wait(
        lambda found: condition(found, "Ready")["reason"] == "ListUnreadable", "it is told"
    )
    assert is_true(found, "Ready")
    assert f"volume {LONG}, number 1 of those that are new" in condition(found, "Ready")["message"]
    assert WORDS in condition(found, "Ready")["message"]

    workers.release()
    space.put(KEY, csv([*GOOD, Volume("W1", "I3")]))
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}


def test_a_store_that_takes_them_gets_them(space: Space, workers: Workers) -> None:
    space.put(KEY, csv([*GOOD, LONG, LONGER]))
    live = space.submit(job("long", space.bucket, manifest(space.bucket, KEY)))
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    workers.runs.check_each_ran_once(4)
