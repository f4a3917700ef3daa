"""Scheduler clients: for them the operator is a worker, whose jobs are volumes of Jobs.

Nothing is kept: the id of a job says which Job and which volume of it are meant.
"""

import re

from bec_operator.act.ground.enrolled import Scope
from bec_operator.act.ground.key import Key
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.gateway.gateway import Gateway
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract import jobscheduler_pb2 as wire

NOT_FOUND = "job not found"
_ID = re.compile(r"([0-9A-Za-z-]{1,64})\.([0-9]{1,8})")


class Asking:
    """Starts, and tells how it stands. A start is a question: a Job does all its volumes anyway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._places: tuple[object, dict[str, int]] = (None, {})

    def start(self, scope: Scope, command: str, path: str) -> str:
        """Return the id under which one asks after a volume, `path`, of a Job, `command`."""
        job = self._named(scope, command)
        memory = self._loaded(job)
        index = self._place(memory, path)
        if index is None:
            raise CallRefusedError(
                "Invalid",
                f"Job {command} has no volume of that name: path is W/I, or W/I@version, as its "
                "list has it",
            )
        return f"{job.uid}.{index}"

    def query(self, scope: Scope, job_id: str) -> wire.QueryJobRes:
        """Tell how it stands with a volume."""
        job, index = self._of(scope, job_id)
        if job.status.terminal and (counts := job.status.counts) is not None:
            if not counts.failed and not counts.skipped:
                return wire.QueryJobRes(done=True)
            if counts.succeeded == 0:
                said = "the Job has ended, and none of its volumes is done"
                return wire.QueryJobRes(done=True, error=True, errorText=said)
            raise CallRefusedError(
                "Gone", f"Job {job.name} has ended: its manifest and report say what became of it"
            )
        memory = self._loaded(job)
        assert memory.ledger is not None
        if index >= len(memory.books.volumes):
            raise CallRefusedError("Gone", NOT_FOUND)
        match memory.ledger.outcome(index):
            case Outcome.SUCCEEDED:
                return wire.QueryJobRes(done=True)
            case Outcome.WAITING:
                return wire.QueryJobRes()
            case Outcome.SKIPPED:
                return wire.QueryJobRes(done=True, error=True, errorText="skipped")
        task = memory.books.tasks.get(index)
        said = (task.message if task else "") or "failed: the report of the Job says why"
        return wire.QueryJobRes(done=True, error=True, errorText=said[:500])

    def stop(self, scope: Scope, job_id: str) -> None:
        """Refuse: a volume is the Job's, and may be another client's as well."""
        self._of(scope, job_id)
        raise CallRefusedError(
            "Invalid",
            "a volume is not stopped by those who ask after it: suspend or delete its Job",
        )

    def _named(self, scope: Scope, command: str) -> JobSeen:
        """Return a Job; one that may not be seen is told as one that is not there."""
        keys: list[Key] = []
        for job in self._gateway.ctx.cache.jobs.all():
            key = (job.namespace, job.name)
            if scope.covers(key) and command in {job.name, f"{job.namespace}/{job.name}"}:
                keys.append(key)
        if len(keys) > 1:
            raise CallRefusedError("Invalid", "several Jobs have that name: write namespace/name")
        job_seen = self._gateway.ctx.cache.jobs.get(*keys[0]) if keys else None
        if job_seen is None or job_seen.status.terminal:
            raise CallRefusedError("Forbidden", "there is no Job of that name for you that runs")
        return job_seen

    def _of(self, scope: Scope, job_id: str) -> tuple[JobSeen, int]:
        found = _ID.fullmatch(job_id)
        if found is not None:
            for job in self._gateway.ctx.cache.jobs.all():
                if job.uid == found[1] and scope.covers((job.namespace, job.name)):
                    return job, int(found[2])
        raise CallRefusedError("Gone", NOT_FOUND)

    def _loaded(self, job: JobSeen) -> Memory:
        memory = self._gateway.memory_of((job.namespace, job.name))
        if memory is None or memory.ledger is None:
            raise CallRefusedError("Unavailable", "the Job is not loaded yet; try again later")
        return memory

    def _place(self, memory: Memory, path: str) -> int | None:
        """Return the place of a volume; the names of one Job's are kept for the next question."""
        volumes = memory.books.volumes
        about, places = self._places
        if about is not volumes or len(places) != len(volumes):
            places = {str(volume): index for index, volume in enumerate(volumes)}
            self._places = (volumes, places)
        return places.get(path)
