"""What clients of Data Dispatcher ask for, in the query of a URL: the client quotes nothing."""

import re
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError, field_validator

from bec_operator.gateway.faces.data_dispatcher.names import volume_of
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.faults import explain
from bec_ops.contract.volume import Volume

NO_SITE = "DEFAULT"
"""What the client says of its site where nobody has told it."""
_SAID = 500  # characters of what is wrong with a query
_HANDLE = re.compile(r"[0-9]{1,16}:[^:]*:")
_LONGEST = 256  # characters of a worker id

HandleState = Literal["initial", "reserved", "done", "failed"]


class Query(BaseModel):
    """A query; keys that nobody asks for are nothing wrong."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Q = TypeVar("Q", bound=Query)


class NextFile(Query):
    """A worker asks for a file."""

    project_id: int
    worker_id: str = Field(min_length=1, max_length=_LONGEST)
    cpu_site: str = Field(default=NO_SITE, max_length=_LONGEST)

    @property
    def site(self) -> str:
        """Where it is; empty if nobody knows."""
        return "" if self.cpu_site == NO_SITE else self.cpu_site


class Release(Query):
    """A worker says what became of a file.

    `failed` has no default: a `#` in a URL cuts it off, and what has failed would count as done.
    Clients before 2.0 send no `worker_id`.
    """

    handle_id: str = Field(max_length=8192)
    failed: bool
    retry: bool = True
    worker_id: str = Field(default="", max_length=_LONGEST)

    @field_validator("handle_id")
    @classmethod
    def _check_handle(cls, handle: str) -> str:
        if not _HANDLE.match(handle):
            raise ValueError("write PROJECT:NAMESPACE:NAME, as next_file gave them")
        return handle

    @property
    def project_id(self) -> int:
        """The number of the project."""
        return int(self.handle_id.partition(":")[0])

    @property
    def volume(self) -> Volume | None:
        """The volume that is meant; None if no volume is called that."""
        _, namespace, name = self.handle_id.split(":", 2)
        return volume_of(namespace, name)


class OfProject(Query):
    """Somebody asks for a project."""

    project_id: int
    with_files: bool = True
    with_replicas: bool = False


class Handles(Query):
    """Somebody asks for the files of a project, in a state or not in one."""

    project_id: int
    state: HandleState | None = None
    not_state: HandleState | None = None

    def wants(self, state: object) -> bool:
        """Whether handles in a state are asked for."""
        return (self.state is None or state == self.state) and state != self.not_state


class ProjectsQuery(Query):
    """Somebody asks for all projects with some traits."""

    owner: str = ""
    state: str = ""
    not_state: str = ""
    with_handles: bool = True
    with_replicas: bool = False
    attributes: Json[dict[str, Any]] = {}

    def wants(self, project: dict[str, Any]) -> bool:
        """Whether a project is asked for."""
        return (
            (not self.owner or project["owner"] == self.owner)
            and (not self.state or project["state"] == self.state)
            and project["state"] != self.not_state
            and all(project["attributes"].get(k) == v for k, v in self.attributes.items())
        )


def query_of(kind: type[Q], request: web.Request) -> Q:
    """Return the query of a request; raises CallRefusedError if it is none."""
    try:
        return kind.model_validate(dict(request.query))
    except ValidationError as error:
        raise CallRefusedError("Invalid", f"the query is wrong: {explain(error)[:_SAID]}") from None
