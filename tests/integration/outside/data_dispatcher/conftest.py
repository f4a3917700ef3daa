"""An operator to which workers of Data Dispatcher come: in the clear, and over TLS."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.ddisp import NEW, Ddisp
from tests.support.jobs import LiveJob, job
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.outsiders import certificate, enrolment
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.space import Space
from tests.support.waiting import until

OUTSIDE = {"allowed": True, "only": True, "marker": "OnDone"}


@dataclass(frozen=True)
class Reply:
    """What a server has answered, to the byte."""

    status: int
    kind: str
    body: bytes
    headers: dict[str, str]

    @property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


class Face:
    """The face: where it is, and how somebody comes in by it."""

    def __init__(self, operator: Operator, kube: Kube, home: str, ports: list[int]) -> None:
        self.operator = operator
        self.url, self.tls_url = f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}"
        self._kube, self._home = kube, home
        self._http = urllib3.PoolManager(retries=False)

    def enrol(self, space: Space, **terms: str) -> tuple[str, str]:
        """Make an enrolment for the Jobs of a space; return its name and its token."""
        name = f"grid-{uuid4().hex[:8]}"
        token = enrolment(self._kube, self._home, name, **{"namespaces": space.namespace, **terms})
        until(lambda: self.log_in(name, token).status == 200, "the enrolment is known")
        return name, token

    def log_in(self, name: str, token: str) -> Reply:
        """Log in as `ddisp login` does."""
        return self.send("POST", "/auth?method=ldap", body=f"{name}:{token}".encode())

    def login(self, space: Space, **terms: str) -> str:
        """Return a login for the Jobs of a space."""
        return self.log_in(*self.enrol(space, **terms)).headers["X-Authentication-Token"]

    def send(self, verb: str, path: str, login: str = "", **request: Any) -> Reply:
        """Send a request as its bytes are."""
        headers = {"X-Authentication-Token": login} if login else {}
        answer = self._http.request(
            verb, f"{self.url}{path}", headers={**headers, **request.pop("headers", {})}, **request
        )
        kind = answer.headers.get("Content-Type", "")
        return Reply(answer.status, kind, answer.data, dict(answer.headers))

    def get(self, path: str, login: str = "") -> Reply:
        """Send a GET."""
        return self.send("GET", path, login)

    def project(self, login: str) -> int:
        """Return the number of the one project that there is for a login, once there is one."""
        (found,) = until(lambda: self.get("/projects?state=active", login).told, "a project")
        number = found["project_id"]
        assert isinstance(number, int)
        assert 0 < number < 2**53
        return number


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, make_operator: MakeOperator, home: Path, ports: list[int]
) -> Iterator[Operator]:
    rights = operator_rights(cluster, home, outside=True)
    certificate(home)
    doors = [{"face": "data-dispatcher", "port": p, "tls": p == ports[1]} for p in ports]
    settings = {"own_namespace": home_of(home), "outside_tls": home, "faces": json.dumps(doors)}
    with make_operator(rights, **settings) as operator:
        yield operator


@pytest.fixture(scope="module")
def face(operator: Operator, kube: Kube, home: Path, ports: list[int]) -> Face:
    return Face(operator, kube, home_of(home), ports)


@dataclass(frozen=True)
class Project:
    """A Job with some volumes, which a login may have."""

    live: LiveJob
    enrolment: tuple[str, str]
    login: str
    number: int


MakeProject = Callable[..., Project]


@pytest.fixture
def project(space: Space, face: Face) -> MakeProject:
    """Make the Job of a space, as workers see it; keywords are fields of its spec."""

    def make(
        volumes: Any, name: str = "pages", outside: dict[str, Any] = OUTSIDE, **spec: Any
    ) -> Project:
        live = space.submit(job(name, space.bucket, volumes, outside=outside, **spec))
        named = face.enrol(space)
        login = face.log_in(*named).headers["X-Authentication-Token"]
        return Project(live, named, login, face.project(login))

    return make


def reserve(face: Face, made: Project, who: str = "w", site: str = "DEFAULT") -> dict[str, Any]:
    """Get a file, as a worker that keeps asking."""
    path = f"/next_file?project_id={made.number}&worker_id={who}&cpu_site={site}"
    found: dict[str, Any] = until(lambda: face.get(path, made.login).told["handle"], "a file", 30)
    return found


def release(face: Face, made: Project, handle: dict[str, Any], **said: str) -> Reply:
    """Say what became of a file, byte for byte as the client does."""
    did = f"{made.number}:{handle['namespace']}:{handle['name']}"
    terms = "".join(f"&{key}={value}" for key, value in said.items())
    return face.get(f"/release?handle_id={did}{terms}", made.login)


MakeDdisp = Callable[..., Ddisp]


@pytest.fixture
def ddisp(face: Face, tmp_path: Path) -> MakeDdisp:
    """Make a machine with a client, on which a worker of a project has logged in."""

    def make(project: Project, client: str = NEW, url: str = "", ca: Path | None = None) -> Ddisp:
        home = tmp_path / uuid4().hex[:6]
        home.mkdir()
        machine = Ddisp(client, url or face.url, home, ca)
        machine.log_in(*project.enrolment)
        return machine

    return make
