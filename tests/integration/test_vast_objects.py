"""Objects of many gigabytes where a list or a marker should be, and the longest list that may be.

The operator keeps within the memory that the chart gives it, and to its other Jobs.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from aiohttp import web
from mypy_boto3_s3 import S3Client

from bec_ops.contract.volume import Volume
from tests.cluster import S3, Cluster
from tests.integration.conftest import MakeOperator
from tests.scale.meter import peak_memory
from tests.support.jobs import LiveJob, counts, job, manifest, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.proxy import ReverseProxy
from tests.support.space import Space, new_space

LIMIT = 512  # MiB: limits.memory of the chart
GIGABYTES = 5 * 1000**3
UNDER_WAY = 16 * 1024**2  # bytes that may be in buffers before it is known that nobody wants them
VAST = ("vast.tar", "W1-vast/success.json")
BLOCK = bytes(65_536)
TOTAL = 1_000_000


class Vast(ReverseProxy):
    """Has objects of five gigabytes; the rest is the store's.

    `sent` is how many bytes of these anybody let it send in `answers` answers.
    """

    def __init__(self, s3: S3) -> None:
        super().__init__(s3.endpoint_url)
        self.answers, self.sent = 0, 0

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith(VAST) or request.method not in {"GET", "HEAD"}:
            return None
        response = web.StreamResponse(
            headers={"ETag": '"1"', "Last-Modified": "Mon, 30 Nov 2026 09:00:00 GMT"}
        )
        response.content_length = GIGABYTES
        await response.prepare(request)
        self.answers += 1
        with suppress(ConnectionError):  # as soon as nobody wants more
            while request.method == "GET":
                await response.write(BLOCK)
                self.sent += len(BLOCK)
        return response


@pytest.fixture(scope="module")
def vast(s3: S3) -> Iterator[Vast]:
    with Vast(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, vast: Vast, s3: S3) -> Iterator[Operator]:
    """An operator that reaches S3 through the proxy."""
    with make_operator(s3=replace(s3, endpoint_url=vast.url)) as operator:
        yield operator


def long_list() -> bytes:
    """Return 25 MB of a million volumes."""
    return "".join(
        f"W{number:07}KG,I{number:07}KG,{number:04x}\n" for number in range(TOTAL)
    ).encode()


@pytest.mark.usefixtures("workers")
def test_other_jobs_do_not_notice(
    cluster: Cluster,
    kube: Kube,
    client: S3Client,
    space: Space,
    operator: Operator,
    vast: Vast,
) -> None:
    """`terascope/teraslice#3595`, `fluxcd/source-controller#901`: the controller was killed.

    It read what a Job named into memory, and after each start the same again, so that all Jobs of
    all namespaces stood still.
    """
    pid = operator.pid
    space.put("text", b"yes and no\n" * 30_000_000)
    space.put("million", long_list())
    with new_space(cluster, kube, client) as other:
        archive = other.submit(job("archive", other.bucket, manifest(other.bucket, "vast.tar")))
        text = other.submit(job("text", other.bucket, manifest(space.bucket, "text")))
        million = other.submit(
            job("million", other.bucket, manifest(space.bucket, "million"), parallelism=1)
        )
        marked = space.submit(
            job("marked", space.bucket, [Volume("W1", "vast")], retry={"limit": 1})
        )
        small = space.submit(job("small", space.bucket, numbered(10)))

        assert counts(small.wait_complete(120.0)) == {"total": 10, "succeeded": 10}
        assert "has 5,000,000,000 bytes; at most" in archive.wait_stalled("InvalidManifest", 120.0)
        assert "has 330,000,000 bytes; at most" in text.wait_stalled("InvalidManifest", 120.0)
        assert_vast_marker(marked, space)
        million.wait(has_begun, "it begins", 300.0)
        again = space.submit(job("again", space.bucket, numbered(10)))
        assert counts(again.wait_complete(120.0)) == {"total": 10, "succeeded": 10}

    assert operator.running
    assert operator.pid == pid
    assert peak_memory(operator.pid) < LIMIT
    assert vast.answers > 1
    assert vast.sent < vast.answers * UNDER_WAY


def has_begun(found: Body) -> bool:
    """Whether a Job of a million volumes has something in the cluster."""
    seen = counts(found)
    return seen.get("total") == TOTAL and seen.get("waiting", 0) < TOTAL


def assert_vast_marker(live: LiveJob, space: Space) -> None:
    """See that a marker which is none fails its volume, and says why."""
    live.wait_phase("Failed", timeout=120.0)
    (row,) = space.reported(live.name)
    assert "has 5,000,000,000 bytes; at most 1,048,576 bytes are read" in str(row)
