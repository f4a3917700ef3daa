"""What is known of the cluster: fed by the watches, and at once by the answers to our own writes.

Versions decide: an older state of an object never replaces a newer one, and a list that was made
before an object came does not take it away. So nothing is launched twice from a stale look.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from bec_operator.decide.memory import JobSeen
from bec_operator.decide.seen import PodSeen, TaskSeen

Key = tuple[str, str]  # namespace and name
_TOMBSTONES = 10_000


class _Record(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=_Record)


class Records(Generic[R]):
    """Records of one kind by namespace and name, grouped by the Job that they belong to."""

    def __init__(self, job_of: Callable[[R], str], changed: Callable[[Key], None]) -> None:
        self._records: dict[Key, R] = {}
        self._by_job: defaultdict[Key, dict[str, R]] = defaultdict(dict)
        self._buried: OrderedDict[str, None] = OrderedDict()  # uids of what is gone for good
        self._job_of = job_of
        self._changed = changed

    def get(self, namespace: str, name: str) -> R | None:
        """Return one record."""
        return self._records.get((namespace, name))

    def of_job(self, job: Key) -> dict[str, R]:
        """Return the records of a Job, by name."""
        return self._by_job.get(job, {})

    def all(self) -> Iterable[R]:
        """Return all records."""
        return list(self._records.values())

    def put(self, record: R) -> None:
        """Take in a state of an object, unless a newer one is known or it is gone."""
        key = (record.namespace, record.name)
        known = self._records.get(key)
        if record.uid in self._buried or (known is not None and known.version >= record.version):
            return
        self._records[key] = record
        job = (record.namespace, self._job_of(record))
        self._by_job[job][record.name] = record
        self._changed(job)

    def remove(self, namespace: str, name: str, uid: str) -> None:
        """Take in that an object is gone."""
        self._buried[uid] = None
        if len(self._buried) > _TOMBSTONES:
            self._buried.popitem(last=False)
        record = self._records.get((namespace, name))
        if record is None or record.uid != uid:
            return
        del self._records[namespace, name]
        job = (namespace, self._job_of(record))
        of_job = self._by_job[job]
        del of_job[name]
        if not of_job:
            del self._by_job[job]
        self._changed(job)

    def replace_all(self, namespace: str | None, records: Iterable[R], version: int) -> None:
        """Take in a full list made at `version`; what is missing in it is gone.

        `namespace` is None where the list is of all namespaces.
        """
        present: set[str] = set()
        for record in records:
            present.add(record.uid)
            self.put(record)
        for known in self.all():
            in_scope = namespace is None or known.namespace == namespace
            if in_scope and known.uid not in present and known.version <= version:
                self.remove(known.namespace, known.name, known.uid)


class Cache:
    """Jobs, VolumeTasks and pods, as last seen. `changed` is told which Job to look at."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self.jobs: Records[JobSeen] = Records(lambda job: job.name, changed)
        self.tasks: Records[TaskSeen] = Records(lambda task: task.job, changed)
        self.pods: Records[PodSeen] = Records(lambda pod: pod.job, changed)
