"""An operator to which ReefGuide's workers come, and a client that sends what theirs do."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.callers import Answer
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.space import Space
from tests.support.waiting import until

ELSEWHERE: Body = {"allowed": True, "only": True, "marker": "OnDone", "max": 100}
NOT_ON_ECS = "Unknown - metadata lookup failure"


def kind(handler: str, **parameters: Any) -> Body:
    """Return the worker of a Job whose volumes are jobs of a type."""
    template = {"spec": {"containers": [{"name": "worker", "image": "unused:1"}]}}
    return {"template": template, "handler": handler, "parameters": parameters}


@dataclass
class ReefWorker:
    """A worker as its server sees it; what it sends is what ReefGuide's own send."""

    url: str
    name: str
    secret: str
    task_arn: str = NOT_ON_ECS
    token: str = ""
    refresh: str = ""
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def send(self, verb: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """Make a call; `token` is its own, if no other is given."""
        headers = {"Content-Type": "application/json"}
        if token := self.token if token is None else token:
            headers["Authorization"] = f"Bearer {token}"
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.http.request(
            verb, f"{self.url}/api{path}", body=sent, headers=headers, timeout=70.0
        )
        assert answer.headers["Content-Type"].startswith("application/json")
        return Answer(answer.status, json.loads(answer.data))

    def log_in(self) -> Answer:
        """Log in, and keep the tokens."""
        sent = {"email": f"{self.name}@reef.example.org", "password": self.secret}
        answer = self.send("POST", "/auth/login", sent, token="")
        self.token = answer.body.get("token", "")
        self.refresh = answer.body.get("refreshToken", "")
        return answer

    def poll(self, kind: str = "") -> list[Body]:
        """Return the jobs that it is shown: as in Julia, or of a `kind` as in TypeScript."""
        answer = self.send("GET", f"/jobs/poll?jobType={kind}" if kind else "/jobs/poll")
        assert answer.status == 200, answer.body
        jobs: list[Body] = answer.body["jobs"]
        return jobs

    def wait_jobs(self, many: int = 1, kind: str = "") -> list[Body]:
        """Return the jobs that it is shown, once there are so many."""
        until(lambda: len(self.poll(kind)) >= many, "jobs are shown")
        return self.poll(kind)

    def assign(self, job: Body) -> Answer:
        """Ask for a job."""
        claim = {"jobId": job["id"], "ecsTaskArn": self.task_arn, "ecsClusterArn": self.task_arn}
        return self.send("POST", "/jobs/assign", claim)

    def take(self, kind: str = "") -> tuple[Body, Body]:
        """Return a job that it has got, and its assignment."""
        job = self.wait_jobs(1, kind)[0]
        answer = self.assign(job)
        assert answer.status == 200, answer.body
        return job, answer.body["assignment"]

    def result(self, number: int, status: str = "SUCCEEDED", payload: Any = None) -> Answer:
        """Say what became of an assignment."""
        sent = {"status": status, "resultPayload": payload}
        return self.send("POST", f"/jobs/assignments/{number}/result", sent)


@dataclass(frozen=True)
class Face:
    """Where the face is, and how workers come to be known there."""

    operator: Operator
    kube: Kube
    home: str
    port: int

    @property
    def url(self) -> str:
        """What a worker has as API_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def worker(self, space: Space, **terms: str) -> ReefWorker:
        """Return a worker that has logged in, of an enrolment for the Jobs of a space."""
        name = f"reef-{uuid4().hex[:8]}"
        terms = {"namespaces": space.namespace, **terms}
        worker = ReefWorker(self.url, name, enrolment(self.kube, self.home, name, **terms))
        until(lambda: worker.log_in().status == 200, "the worker can log in")
        return worker


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reefguide")


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, make_operator: MakeOperator, home: Path, port: int
) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    faces = json.dumps([{"face": "reefguide", "port": port, "tls": False}])
    with make_operator(rights, own_namespace=home_of(home), faces=faces) as operator:
        yield operator


@pytest.fixture(scope="module")
def face(operator: Operator, kube: Kube, home: Path, port: int) -> Face:
    return Face(operator, kube, home_of(home), port)


def seconds_since(began: float) -> float:
    """Return how long something took."""
    return time.monotonic() - began


def markers(space: Space) -> list[str]:
    """Return the keys of all markers that stand."""
    return [key for key in space.stored() if key.endswith("success.json")]
