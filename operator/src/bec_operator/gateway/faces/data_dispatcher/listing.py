"""Answers with projects and their files, bounded: a Job may have ten million volumes."""

import asyncio
from collections.abc import Iterator

from aiohttp import web

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.gateway.faces.data_dispatcher.answers import as_long_text_json
from bec_operator.gateway.faces.data_dispatcher.documents import (
    Document,
    handles_of,
    project_of,
)
from bec_operator.gateway.faces.data_dispatcher.projects import Projects
from bec_operator.gateway.faces.data_dispatcher.queries import (
    Handles,
    OfProject,
    ProjectsQuery,
    query_of,
)
from bec_operator.gateway.gateway import Gateway
from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError

MOST = 10_000  # handles of an answer
_AT_ONCE = 100  # handles that are made before others have a turn
_LISTS = (1.0, 20)  # of one enrolment: a second, and at once after a rest


class Listing:
    """What there is, for those who ask."""

    def __init__(self, gateway: Gateway, projects: Projects) -> None:
        self._gateway = gateway
        self._projects = projects
        self._rates = Rates(*_LISTS)

    async def project(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        """Answer with one project."""
        query = query_of(OfProject, request)
        job = self._projects.get(enrolment, query.project_id)
        project = project_of(job)
        if query.with_files:
            self._check_rate(enrolment)
            self._check_loaded(job)
            found = self._handles(job, replicas=query.with_replicas)
            project["file_handles"] = await _some_of(found, MOST)
        return await as_long_text_json(project)

    async def projects(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        """Answer with all projects that are asked for; handles are bounded for all together."""
        query = query_of(ProjectsQuery, request)
        self._check_rate(enrolment)
        told, left = [], MOST
        for job in [*self._projects.all(enrolment)]:
            project = project_of(job)
            if not query.wants(project):
                continue
            if query.with_handles:
                found = self._handles(job, replicas=query.with_replicas)
                project["file_handles"] = await _some_of(found, left)
                left -= len(project["file_handles"])
            told.append(project)
        return await as_long_text_json(told)

    async def handles(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        """Answer with the handles of a project that are asked for."""
        query = query_of(Handles, request)
        self._check_rate(enrolment)
        job = self._projects.get(enrolment, query.project_id)
        self._check_loaded(job)
        found = self._handles(job, replicas=False)
        handles = [h for h in await _some_of(found, MOST) if query.wants(h["state"])]
        return await as_long_text_json(handles)

    def _handles(self, job: JobSeen, *, replicas: bool) -> Iterator[Document]:
        memory = self._gateway.memory_of((job.namespace, job.name))
        return handles_of(self._gateway.ctx, job, memory, replicas=replicas)

    def _check_loaded(self, job: JobSeen) -> None:
        """See that files are not left out that somebody has: `ddisp worker done all` asks here.

        Of a Job without tasks nobody has any, and it may never be loaded.
        """
        key = (job.namespace, job.name)
        memory = self._gateway.memory_of(key)
        loaded = memory is not None and memory.ledger is not None
        if not loaded and not job.has_ended and self._gateway.ctx.cache.tasks.of_job(key):
            raise CallRefusedError("Unavailable", "the project is not loaded yet; try again later")

    def _check_rate(self, enrolment: Enrolment) -> None:
        if wait := self._rates.take(enrolment.name, self._gateway.ctx.clock.now()):
            raise CallRefusedError("TooMany", "lists are asked for too often", retry_after=wait)


async def _some_of(handles: Iterator[Document], most: int) -> list[Document]:
    """Return the first handles; others have their turn meanwhile."""
    found: list[Document] = []
    for handle in handles:
        if len(found) >= most:
            break
        found.append(handle)
        if len(found) % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
