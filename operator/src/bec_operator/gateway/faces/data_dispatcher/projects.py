"""Which Jobs an enrolment has for projects."""

from collections.abc import Iterator

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.act.ground.key import Key
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.gateway.faces.data_dispatcher.names import project_id_of
from bec_operator.worker_api.callers.refusals import CallRefusedError

_NOT_FOUND = 404


class Projects:
    """The Jobs within the scope of an enrolment that give volumes to workers from elsewhere."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known: dict[int, Key] = {}

    def all(self, enrolment: Enrolment) -> Iterator[JobSeen]:
        """Yield all that an enrolment has."""
        return (job for job in self._ctx.cache.jobs.all() if _has(enrolment, job))

    def get(self, enrolment: Enrolment, project_id: int) -> JobSeen:
        """Return a Job; raises CallRefusedError if there is none for this enrolment."""
        job = self._find(project_id)
        if job is None or not _has(enrolment, job):
            raise CallRefusedError(
                "Gone",
                f"there is no project {project_id} for you; `ddisp project list -s all` has those "
                "that there are",
                _NOT_FOUND,
            )
        return job

    def _find(self, project_id: int) -> JobSeen | None:
        """Return the Job of a number. Where that was found before is only where to look first."""
        known = self._ctx.cache.jobs.get(*self._known.get(project_id, ("", "")))
        if known is not None and project_id_of(known.uid) == project_id:
            return known
        self._known = {
            project_id_of(j.uid): (j.namespace, j.name) for j in self._ctx.cache.jobs.all()
        }
        found = self._known.get(project_id)
        return self._ctx.cache.jobs.get(*found) if found is not None else None


def _has(enrolment: Enrolment, job: JobSeen) -> bool:
    """Whether a Job is there for an enrolment; one whose spec cannot be read may still be."""
    allowed = job.spec is None or job.spec.outside.allowed
    return allowed and enrolment.scope.covers((job.namespace, job.name))
