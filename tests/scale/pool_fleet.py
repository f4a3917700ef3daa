"""Simulated workers in pools on nodes that are not there: they call, write markers, and remember.

Each running pod of a pool is one worker with a real token of its own. Whoever is taken away while
it works is on record, and so is how long it waited for work.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import POOL_LABEL
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.protocol import PREFIX
from bec_ops.contract.task import Task
from tests.cluster import Cluster
from tests.support.kube import Body, Kube, Watch
from tests.support.space import s3_client
from tests.support.tokens import pod_token

WAIT = 5.0  # seconds that the operator may look for a task
AGAIN = 0.3  # seconds before an operator that does not answer is asked again
_LIFETIME = 3600.0

Seconds = Callable[[Task], float]
Fails = Callable[["Record", Task], str]


@dataclass
class Record:
    """What one worker did. `taken_from` is the task that it had when its pod was deleted."""

    pod: str
    job: str
    born: float
    tasks: int = 0
    failed: int = 0
    has: str = ""
    taken_from: str = ""
    waits: list[float] = field(default_factory=list)  # seconds from one task's end to the next
    idle: float = 0.0


class PoolFleet:
    """As a context: plays the worker of every pod of a pool that it sees running.

    `url_of` says where the operator is now, `seconds` how long a task takes, `fails` how one fails
    at once in a worker; empty if it does not.
    """

    def __init__(
        self,
        cluster: Cluster,
        url_of: Callable[[], str],
        seconds: Seconds = lambda _: random.uniform(0.2, 1.0),
        fails: Fails = lambda *_: "",
    ) -> None:
        self.fails = fails
        self.records: dict[str, Record] = {}
        self.runs: Counter[str] = Counter()  # i_id → how often it was begun
        self._kube = Kube(cluster.kubeconfig)
        self._s3 = s3_client(cluster.s3)
        self._url_of = url_of
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._watch: Watch | None = None
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._pool = ThreadPoolExecutor(16)
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="pool fleet", daemon=True)
        self._follower = threading.Thread(target=self._follow, name="pool pods", daemon=True)

    def __enter__(self) -> Self:
        query = {"labelSelector": POOL_LABEL}
        self._watch = self._kube.watch(core(None, "pods"), _LIFETIME, query)
        self._thread.start()
        self._follower.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._watch is not None
        self._watch.close()
        self._follower.join()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        if error is None and self._errors:
            raise AssertionError("a worker could not be played") from self._errors[0]

    def taken(self) -> list[Record]:
        """Return the workers that were taken away while they worked."""
        return [record for record in self.records.values() if record.taken_from]

    def waits(self) -> list[float]:
        """Return for how long workers waited between two tasks, in order of size."""
        return sorted(wait for record in self.records.values() for wait in record.waits)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for worker in self._workers.values():
            worker.cancel()
        rest = asyncio.gather(*self._workers.values(), return_exceptions=True)
        self._loop.run_until_complete(rest)
        self._loop.close()

    def _follow(self) -> None:
        assert self._watch is not None
        for event in self._watch:
            self._loop.call_soon_threadsafe(self._see, event["type"], event["object"])

    def _see(self, kind: str, pod: Body) -> None:
        uid = pod["metadata"]["uid"]
        going = kind == "DELETED" or "deletionTimestamp" in pod["metadata"]
        record = self.records.get(uid)
        if going and record is not None and record.has and not record.taken_from:
            record.taken_from = record.has
        if kind == "DELETED" and uid in self._workers:
            self._workers[uid].cancel()
        if record is None and not going and pod.get("status", {}).get("phase") == "Running":
            meta = pod["metadata"]
            record = Record(meta["name"], meta["labels"]["bec.bdrc.io/job"], time.monotonic())
            self.records[uid] = record
            self._workers[uid] = self._loop.create_task(self._play(pod, record))

    async def _play(self, pod: Body, record: Record) -> None:
        try:
            token = await self._loop.run_in_executor(self._pool, pod_token, self._kube, pod)
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
                await _Process(self, http, record).work()
        except Exception as error:  # noqa: BLE001 - it must reach the test
            if self._kube.find(core(pod["metadata"]["namespace"], "pods", record.pod)):
                self._errors.append(error)

    async def do(self, task: Task) -> None:
        """Do a task that is not done: wait as long as it takes, and write the marker."""
        begun = self.runs[task.i_id]
        if begun and await self._loop.run_in_executor(self._pool, self._is_done, task):
            return  # an operator that died has forgotten that it was told
        self.runs[task.i_id] += 1
        await asyncio.sleep(self._seconds(task))
        await self._loop.run_in_executor(self._pool, self._put_marker, task)

    def _is_done(self, task: Task) -> bool:
        found = self._s3.list_objects_v2(Bucket=task.bucket, Prefix=task.prefix + MARKER_NAME)
        return found["KeyCount"] > 0

    def _put_marker(self, task: Task) -> None:
        key = task.prefix + MARKER_NAME
        self._s3.put_object(Bucket=task.bucket, Key=key, Body=task.marker().dump())

    def url(self) -> str:
        """Return where the operator is now."""
        return self._url_of() + PREFIX


class _Process:
    """The process of one worker."""

    def __init__(self, fleet: PoolFleet, http: aiohttp.ClientSession, record: Record) -> None:
        self._fleet, self._http, self._record = fleet, http, record
        self._process, self._session = uuid4().hex, ""

    async def work(self) -> None:
        """Take task after task, for ever."""
        since = time.monotonic()
        while True:
            answer = await self._call("next", wait=WAIT)
            if not answer.get("task"):
                continue
            task = Task.model_validate(answer["task"])
            waited = time.monotonic() - since
            self._record.idle += waited
            if self._record.tasks:
                self._record.waits.append(waited)
            about = {"task_uid": task.task_uid, "attempt": task.attempt}
            if said := self._fleet.fails(self._record, task):
                self._record.failed += 1
                await self._call("failed", failure="Retryable", message=said, **about)
                since = time.monotonic()
                continue
            self._record.has = task.i_id
            await self._fleet.do(task)
            self._record.has = ""
            since = time.monotonic()
            self._record.tasks += 1
            await self._call("done", **about)

    async def _call(self, name: str, **fields: Any) -> Body:
        """Make a call until it is answered; what is gone is gone."""
        while True:
            try:
                if not self._session:
                    status, body = await self._post("register", {"process": self._process})
                    if status == 200:
                        self._session = body["session"]
                    elif status != 503:
                        raise AssertionError(f"register: {status} {body}")
                status, body = await self._post(name, {"session": self._session, **fields})
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                await asyncio.sleep(AGAIN)
                continue
            if status in {200, 410}:
                return body
            if body.get("error") == "UnknownSession":
                self._session = ""
            await asyncio.sleep(AGAIN)

    async def _post(self, name: str, body: Body) -> tuple[int, Body]:
        timeout = aiohttp.ClientTimeout(total=WAIT + 10)
        url = f"{self._fleet.url()}/{name}"
        async with self._http.post(url, json=body, timeout=timeout) as response:
            answer: Body = await response.json()
            return response.status, answer
