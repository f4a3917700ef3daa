"""Many workers at once against one operator: `python -m tests.scale.worker_calls`.

Each is a pod on a node that is not there, and calls with a real token of its own: first all in the
same moment, then out of step, ten times as often as workers really do. The figures go to
`build/worker-calls.json`, too.
"""

import asyncio
import json
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from uuid import uuid4

import aiohttp
import psutil
import typer
from rich.console import Console
from rich.table import Table

from bec_ops.contract.protocol import PREFIX
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale.sides import BUCKET, POD
from tests.support.jobs import job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.tokens import pod_token
from tests.support.waiting import until

EVERY = 3.0  # seconds between two heartbeats of a worker; really it is 30
BEATS = 6  # heartbeats of each worker out of step
PODS = "/api/v1/namespaces/default/pods"
console = Console(highlight=False)


class Caller:
    """One of many workers; `took` has what its calls took, in seconds, by name."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.took: list[tuple[str, float]] = []
        self.about: Body = {}
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session = ""
        self._pages = 0

    async def register(self) -> None:
        """Prove who it is: the operator has to have its token reviewed."""
        answer = await self._call("register", process=uuid4().hex)
        self._session = answer["session"]

    async def next(self) -> None:
        """Ask for its task."""
        answer = await self._call("next", session=self._session, wait=10)
        self.about = {name: answer["task"][name] for name in ("task_uid", "attempt")}

    async def heartbeat(self) -> None:
        """Tell of one more page."""
        self._pages += 1
        progress = {"done": self._pages, "total": 480, "unit": "pages"}
        await self._call("heartbeat", session=self._session, progress=progress, **self.about)

    async def work(self) -> None:
        """Send heartbeats, out of step with the others."""
        await asyncio.sleep(random.uniform(0, EVERY))
        for _ in range(BEATS):
            await self.heartbeat()
            await asyncio.sleep(EVERY)

    async def _call(self, name: str, **body: Any) -> Body:
        began = time.monotonic()
        async with self._http.post(
            f"{self._url}{PREFIX}/{name}", json=body, headers=self._headers
        ) as response:
            answer: Body = await response.json()
            assert response.status == 200, answer
        self.took.append((name, time.monotonic() - began))
        return answer


async def call_all(url: str, tokens: list[str]) -> list[Body]:
    """Make all calls, and return what they took."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        callers = [Caller(http, url, token) for token in tokens]
        found = []
        for call in (Caller.register, Caller.next, Caller.heartbeat):
            await asyncio.gather(*(call(caller) for caller in callers))
            found.append(_figures(callers, "all at once"))
        await asyncio.gather(*(caller.work() for caller in callers))
        found.append(_figures(callers, f"each every {EVERY:.0f} s"))
        assert len({caller.about["task_uid"] for caller in callers}) == len(callers)
    return found


def _figures(callers: list[Caller], how: str) -> Body:
    """Return what the calls since the last look took, all of them of one kind."""
    times = [took for caller in callers for _, took in caller.took]
    ((name, _), *_) = callers[0].took
    for caller in callers:
        caller.took.clear()
    cuts = statistics.quantiles(times, n=100)
    return {
        "call": name,
        "how": how,
        "calls": len(times),
        "p50 ms": round(1000 * cuts[49], 1),
        "p99 ms": round(1000 * cuts[98], 1),
    }


def running_pods(kube: Kube, count: int) -> list[Body]:
    """Make a Job of so many volumes, and return its pods once they all run."""
    made = job(
        "calls",
        BUCKET,
        numbered(count),
        worker={"template": {"spec": POD}},
        parallelism=count,
    )
    kube.create("/apis/bec.bdrc.io/v1alpha1/namespaces/default/jobs", made)

    def running() -> list[Body]:
        found = kube.items(PODS, fieldSelector="status.phase=Running")
        return found if len(found) == count else []

    return until(running, f"{count} pods run", timeout=300)


def main(workers: Annotated[int, typer.Option(help="workers at once, at most 1000")] = 500) -> None:
    """Measure, print, and write build/worker-calls.json."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with Cluster.start("worker-calls", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        s3_client(cluster.s3).create_bucket(Bucket=BUCKET)
        kube = Kube(cluster.kubeconfig)
        log = build / "worker-calls-operator.log"
        with Operator(cluster.kubeconfig, cluster.s3, log) as operator:
            pods = running_pods(kube, workers)
            with ThreadPoolExecutor(16) as pool:
                tokens = list(pool.map(lambda pod: pod_token(kube, pod), pods))
            figures = asyncio.run(call_all(operator.worker_url, tokens))
            memory = psutil.Process(operator.pid).memory_info().rss
    table = Table(*figures[0], title=f"{workers} workers, operator of {memory / 1e6:.0f} MB")
    for line in figures:
        table.add_row(*map(str, line.values()))
    console.print(table)
    (build / "worker-calls.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    typer.run(main)
