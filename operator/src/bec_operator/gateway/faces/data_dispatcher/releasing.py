"""Takes in what became of files: done, or failed for now, or failed for good."""

from bec_operator.act.ground.enrolled import Enrolment, Outsider
from bec_operator.api.names import task_name
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen, TaskSeen
from bec_operator.gateway.faces.data_dispatcher.names import (
    FACE,
    PROCESS,
    is_seat,
    who_has,
    worker_with,
)
from bec_operator.gateway.faces.data_dispatcher.queries import Release
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.holding import Holding
from bec_operator.gateway.logins import visitor
from bec_operator.worker_api.callers.refusals import CallRefusedError


class Releasing:
    """Answers `release`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def release(self, enrolment: Enrolment, job: JobSeen, query: Release) -> None:
        """Take in what became of a file; raises CallRefusedError if it is not this worker's."""
        task, begun = self._reserved(job, query)
        worker = self._holder(enrolment, begun, query)
        holdings = (h for h in self._gateway.holdings(worker) if is_seat(h.seat.name))
        holding = next((h for h in holdings if h.task.task_uid == task.uid), None)
        if holding is None:
            self._check_told(task, begun, query)
            return
        await self._report(enrolment, holding, who_has(begun), query)

    async def _report(
        self, enrolment: Enrolment, holding: Holding, who: str, query: Release
    ) -> None:
        # An operator that has started since knows no sessions. This one is the same as before.
        self._gateway.register(holding.seat.worker, PROCESS, holding.seat.name)
        if not query.failed:
            await self._gateway.done(holding, FACE, worker=who, enrolment=enrolment.name)
        elif query.retry:
            await self._gateway.failed(holding, "Retryable", "its worker says that it has failed")
        else:
            said = "its worker says that it has failed, and that no retry helps"
            await self._gateway.failed(holding, "Terminal", said)

    def _reserved(self, job: JobSeen, query: Release) -> tuple[TaskSeen, Attempt]:
        """Return the attempt at a volume that somebody has."""
        memory = self._loaded(job)
        volume = query.volume
        if volume is not None:
            task = self._gateway.ctx.cache.tasks.get(job.namespace, task_name(job.name, volume))
            begun = task.recorded_begun if task is not None else None
            if task is not None and begun is not None and task.owner_uid == memory.job.uid:
                return task, begun
        raise _not_reserved(query)

    def _loaded(self, job: JobSeen) -> Memory:
        memory = self._gateway.memory_of((job.namespace, job.name))
        if memory is None or memory.job.uid != job.uid or memory.ledger is None:
            if job.has_ended:
                raise CallRefusedError("Gone", "the project is over: nobody has files of it")
            raise CallRefusedError("Unavailable", "the project is not loaded yet; try again later")
        return memory

    def _holder(self, enrolment: Enrolment, begun: Attempt, query: Release) -> Outsider:
        """Return the worker that has a file: the one that calls, as far as it says who it is."""
        holder = worker_with(enrolment, begun)
        if query.worker_id:
            worker = visitor(enrolment, query.worker_id)
            if worker_of(begun.pod_uid) == worker.id:
                return worker
        elif holder is not None:
            return holder
        raise CallRefusedError(
            "Forbidden", "another worker has this file: ask with the worker id that got it"
        )

    def _check_told(self, task: TaskSeen, begun: Attempt, query: Release) -> None:
        """See that a worker only repeats what it has said; raises CallRefusedError if not."""
        told = self._gateway.ctx.cache.workers.get(task.uid)
        if told is None or told.report is None or not told.has_ended(begun.number):
            raise _not_reserved(query)
        if (told.report.failure is not None) is not query.failed:
            raise CallRefusedError("Gone", "it was said before that the file had another end")


def _not_reserved(query: Release) -> CallRefusedError:
    file = query.handle_id.partition(":")[2][:200]
    return CallRefusedError(
        "Gone", f"nobody has the file {file}, or no longer: ask for one by next_file"
    )
