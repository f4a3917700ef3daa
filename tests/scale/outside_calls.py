"""What calls over the gateway cost, beside those of the worker API.

`python -m tests.scale.outside_calls`: heartbeats of pods and of workers from elsewhere in turns,
one at a time, at one operator. What each takes, and what processor time of the operator it is, on
connections that stay, as real workers have them, and on a new one for each call. Then 500 workers
from elsewhere beat every 30 s, each on a connection of its own. The figures go to
`build/outside-calls.json`, held to their bounds.
"""

import asyncio
import base64
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import aiohttp
import typer
from rich.console import Console

from bec_operator.act.ground.api_server import bec
from bec_ops.contract.protocol import PREFIX
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale.bounds import check
from tests.scale.meter import cpu_seconds, memory_now
from tests.scale.sides import BUCKET, NAMESPACE, POD
from tests.scale.worker_calls import running_pods
from tests.support.callers import CallingWorker
from tests.support.jobs import job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import Outsider, certificate, enrolment
from tests.support.ports import free_ports
from tests.support.space import s3_client
from tests.support.tokens import pod_token

PODS = 10  # that call beside workers from elsewhere, and as many of these
ROUNDS, CALLS = 12, 100  # in turns, and heartbeats of each side in each
EVERY = 30.0  # seconds between two heartbeats of a worker
HOLD = 90.0  # seconds for which many beat
AT_ONCE = 20  # workers that come in
HOME = "default"
console = Console(highlight=False)

Callers = Sequence[CallingWorker] | Sequence[Outsider]


def beat(caller: CallingWorker | Outsider, **headers: str) -> None:
    """Give a sign of life."""
    body = {"session": caller.session, **caller.about, "activity": 1}
    if isinstance(caller, Outsider):
        answer = caller.send("heartbeat", body, **headers)
    else:
        answer = caller.send("heartbeat", json.dumps(body).encode(), **headers)
    assert answer.status == 200, answer


def in_turns(operator: Operator, sides: dict[str, Callers], **headers: str) -> Body:
    """Let the sides call in turns; return what a call takes (median) and costs, in ms."""
    took: dict[str, list[float]] = {side: [] for side in sides}
    cost = dict.fromkeys(sides, 0.0)
    for _ in range(ROUNDS):
        for side, callers in sides.items():
            before = cpu_seconds(operator.pid)
            for number in range(CALLS):
                began = time.monotonic()
                beat(callers[number % len(callers)], **headers)
                took[side].append(time.monotonic() - began)
            cost[side] += cpu_seconds(operator.pid) - before
    return {
        side: {
            "ms": round(1000 * statistics.median(took[side]), 2),
            "cpu_ms": round(1000 * cost[side] / (ROUNDS * CALLS), 2),
        }
        for side in sides
    }


def compared(operator: Operator, pods: Callers, outsiders: Callers) -> Body:
    """Return what calls take on connections that stay, and on new ones."""
    sides = {"pods": pods, "outside": outsiders}
    found = {
        "kept": in_turns(operator, sides),
        "new": in_turns(operator, sides, Connection="close"),
    }
    for line in found.values():
        line["ratio"] = round(line["outside"]["ms"] / line["pods"]["ms"], 2)
        line["cpu_ratio"] = round(line["outside"]["cpu_ms"] / line["pods"]["cpu_ms"], 2)
    return found


class Beater:
    """One of many workers from elsewhere, with a connection of its own."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._url, self._context = url, context
        self._secret, self._session = uuid4().hex * 2, ""
        self._about: Body = {}
        self._http: aiohttp.ClientSession
        self.took: list[float] = []

    async def come(self, token: str) -> None:
        """Come in, and take a task."""
        connector = aiohttp.TCPConnector(ssl=self._context, limit=2, keepalive_timeout=2 * EVERY)
        self._http = aiohttp.ClientSession(connector=connector)
        who = await self._call("enrol", token=token, secret=self._secret, name="beats")
        given = base64.b64encode(f"{who['worker_id']}:{self._secret}".encode()).decode()
        self._http.headers.update({"Authorization": f"Basic {given}"})
        self._session = (await self._call("register", process=uuid4().hex))["session"]
        task: Body = {}
        while not task:
            task = (await self._call("next", session=self._session, wait=20))["task"] or {}
        self._about = {name: task[name] for name in ("task_uid", "attempt")}

    async def beat(self, after: float, until: float) -> None:
        """Give signs of life, out of step with the others."""
        await asyncio.sleep(after)
        while time.monotonic() < until:
            began = time.monotonic()
            await self._call("heartbeat", session=self._session, **self._about)
            self.took.append(time.monotonic() - began)
            await asyncio.sleep(EVERY - (time.monotonic() - began))

    async def leave(self) -> None:
        """Close its connections."""
        await self._http.close()

    async def _call(self, name: str, /, **body: Any) -> Body:
        async with self._http.post(f"{self._url}{PREFIX}/{name}", json=body) as response:
            answer: Body = await response.json()
            assert response.status == 200, answer
        return answer


async def many_beat(operator: Operator, ca: Path, token: str, workers: int) -> Body:
    """Let many beat; return what share of a core the operator needs, and what a call takes."""
    context = ssl.create_default_context(cafile=str(ca))
    beaters = [Beater(operator.outside_url, context) for _ in range(workers)]
    began = time.monotonic()
    for first in range(0, workers, AT_ONCE):
        await asyncio.gather(*(each.come(token) for each in beaters[first : first + AT_ONCE]))
    console.print(
        f"{workers} workers have come in and have tasks, {time.monotonic() - began:.0f} s"
    )
    await asyncio.sleep(10)  # what they have begun is written down meanwhile
    idle = await _share(operator, EVERY)
    until = time.monotonic() + HOLD
    beats = asyncio.gather(*(b.beat(EVERY * n / workers, until) for n, b in enumerate(beaters)))
    share = await _share(operator, HOLD)
    await beats
    for each in beaters:
        await each.leave()
    times = [took for each in beaters for took in each.took]
    return {
        "workers": workers,
        "calls": len(times),
        "core_percent": round(100 * share, 1),
        "core_percent_silent": round(100 * idle, 1),
        "p50_ms": round(1000 * statistics.median(times), 1),
        "p99_ms": round(1000 * statistics.quantiles(times, n=100)[98], 1),
        "memory_mb": memory_now(operator.pid),
    }


async def _share(operator: Operator, seconds: float) -> float:
    before = cpu_seconds(operator.pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(operator.pid) - before) / seconds


def outside_job(kube: Kube, name: str, volumes: int) -> None:
    """Make a Job whose volumes are for workers from elsewhere alone."""
    outside = {"allowed": True, "only": True, "max": volumes}
    worker = {"template": {"spec": POD}}
    source = numbered(volumes)
    made = job(name, BUCKET, source, outside=outside, worker=worker, parallelism=volumes)
    kube.create(bec(NAMESPACE, "jobs"), made)


def pods_of(kube: Kube, url: str) -> list[CallingWorker]:
    """Return workers in pods that are registered and have their tasks."""
    found = []
    for pod in running_pods(kube, PODS):
        about = {"task_uid": pod["metadata"]["ownerReferences"][0]["uid"], "attempt": 1}
        worker = CallingWorker(url, pod_token(kube, pod), about)
        assert worker.register().status == 200
        assert worker.call("next", wait=10).body["task"]
        found.append(worker)
    return found


def outsiders_of(kube: Kube, url: str, ca: Path) -> list[Outsider]:
    """Return as many from elsewhere."""
    outside_job(kube, "elsewhere", PODS)
    token = enrolment(kube, HOME, "few", namespaces=NAMESPACE, jobs="elsewhere")
    found = [Outsider(url, ca, f"desk-{number}") for number in range(PODS)]
    for worker in found:
        wait_in(lambda w=worker: w.enrol(token).status)  # type: ignore[misc]
        assert worker.register().status == 200
        assert worker.next().body["task"]
    return found


def wait_in(call: Callable[[], int]) -> None:
    """Make a call until it is taken: the operator has yet to see the enrolment."""
    while call() != 200:
        time.sleep(0.2)


def main(workers: Annotated[int, typer.Option(help="that beat")] = 500) -> None:
    """Measure, print, write build/outside-calls.json, and end with 1 if a bound is broken."""
    build = CHECKOUT / "build"
    build.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        Cluster.start("outside-calls", Parts.KWOK) as cluster,
    ):
        cluster.add_fake_nodes(1)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        s3_client(cluster.s3).create_bucket(Bucket=BUCKET)
        kube, (port,), ca = Kube(cluster.kubeconfig), free_ports(1), certificate(Path(home))
        log = build / "outside-calls-operator.log"
        settings = {"outside_port": port, "own_namespace": HOME, "outside_tls": home}
        with Operator(cluster.kubeconfig, cluster.s3, log, **settings) as operator:
            pods = pods_of(kube, operator.worker_url)
            outsiders = outsiders_of(kube, operator.outside_url, ca)
            figures = {"call": compared(operator, pods, outsiders)}
            console.print_json(data=figures)
            outside_job(kube, "beats", workers)
            token = enrolment(kube, HOME, "many", namespaces=NAMESPACE, jobs="beats")
            wait_in(lambda: Outsider(operator.outside_url, ca).enrol(token).status)
            figures["beats"] = asyncio.run(many_beat(operator, ca, token, workers))
    (build / "outside-calls.json").write_text(json.dumps(figures, indent=1))
    console.print_json(data=figures)
    if not check(console, "bench-outside", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
