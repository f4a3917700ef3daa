"""Where the unsettled tasks of a job stand: who waits, who runs, and which slots are taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bec_operator.decide.attempts.actions import CreatePod, CreateTask, HandTask
from bec_operator.decide.attempts.record import NO_RECORD
from bec_operator.decide.attempts.retrying import is_final
from bec_operator.decide.attempts.view import Limits
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.volumes.ledger import Outcome


@dataclass(frozen=True, slots=True)
class Standings:
    """The unsettled tasks of a job, by where they stand.

    `held` is how many slots are taken: by tasks that run, by pods that are being made, or may have
    been, and by pods of whatever other task or attempt until they are gone. `owners` are the UIDs
    of the tasks that have such pods: one that waits for its next attempt waits for their end, too.
    Of those that are `unsure` a pod may have been made, so they have their slots already.
    `outside` of the slots are held by workers from elsewhere, which take no pod.
    """

    queued: list[TaskSeen] = field(default_factory=list)  # no attempt yet
    running: list[TaskSeen] = field(default_factory=list)  # or has run, and is not yet settled
    retrying: list[TaskSeen] = field(default_factory=list)  # wait for the next attempt
    held: int = 0
    outside: int = 0
    owners: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()  # UIDs of tasks

    @property
    def active(self) -> int:
        """Tasks that are not settled."""
        return len(self.queued) + len(self.running) + len(self.retrying)

    @classmethod
    def of(cls, memory: Memory, pods: Mapping[str, PodSeen]) -> "Standings":
        """Sort the tasks in `memory`."""
        spec, ledger, books = memory.job.spec, memory.ledger, memory.books
        if spec is None or ledger is None:
            # Nothing is known of its tasks yet, or any more; its pods are there all the same.
            return cls(held=sum(pod.alive for pod in pods.values()))
        budget = Limits.of(spec.timeouts, spec.retry).budget
        making, records = being_made(memory), books.records
        found, current, unseen, unsure = cls(), 0, 0, set[str]()
        outside = handed_outside(memory)
        for index, task in books.tasks.items():
            if ledger.outcome(index) is not Outcome.WAITING:
                continue
            pod, record = pods.get(task.pod), records.get(task.uid, NO_RECORD)
            mine = pod is not None and pod.owner_uid == task.uid
            current += mine and pod is not None and pod.alive
            if mine and pod is not None and pod.lease:
                outside.add(task.uid)
            if record.unsure:
                unsure.add(task.uid)
            unseen += not mine and (task.uid in making or record.unsure)
            if mine or record.missed is not None or is_final(task.failures, budget):
                found.running.append(task)
            elif task.failed:
                found.retrying.append(task)
            else:
                found.queued.append(task)
        unseen += len(made_anew(memory, for_workers=True))
        others = sum(pod.alive for pod in pods.values()) - current
        held = len(found.running) + others + unseen
        owners = frozenset(pod.owner_uid for pod in pods.values() if pod.alive)
        return cls(
            found.queued,
            found.running,
            found.retrying,
            held,
            len(outside),
            owners,
            frozenset(unsure),
        )


def being_made(memory: Memory) -> set[str]:
    """Return the UIDs of the tasks whose attempt is being begun, in a pod or in a worker."""
    in_pods = {action.task.uid for action in memory.under_way.of(CreatePod)}
    return in_pods | {action.task.uid for action in memory.under_way.of(HandTask)}


def handed_outside(memory: Memory) -> set[str]:
    """Return what is being given to workers from elsewhere: the UIDs of tasks, or of their seats.

    A task that is made for such a worker has no UID yet.
    """
    handing, making = memory.under_way.of(HandTask), memory.under_way.of(CreateTask)
    found = {action.task.uid for action in handing if action.pod.pod.lease}
    new = [a for a in making if a.pod is not None and a.index not in memory.books.tasks]
    return found | {a.pod.uid for a in new if a.pod is not None and a.pod.pod.lease}


def made_anew(memory: Memory, *, for_workers: bool) -> set[int]:
    """Return the volumes whose tasks are being made: those for workers of a pool, or the others."""
    making = memory.under_way.of(CreateTask)
    found = {action.index for action in making if (action.pod is not None) is for_workers}
    return found - memory.books.tasks.keys()
