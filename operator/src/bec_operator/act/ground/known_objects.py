"""The objects of one kind, as they are known, and grouped by their Job.

Versions decide: an older state of an object never replaces a newer one, and a list that was made
before an object came does not take it away. So nothing is launched twice from a stale look.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Generic, Protocol, TypeVar

from bec_operator.act.ground.key import Key
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.sight.seen import PodSeen, TaskSeen

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
G = TypeVar("G")
N = TypeVar("N")


class KnownObjects(Generic[R]):
    """Records of them by namespace and name, grouped by the Job that they belong to."""

    def __init__(
        self,
        job_of: Callable[[R], str],
        changed: Callable[[Key], None],
        gone: Callable[[R], None] = lambda _: None,
    ) -> None:
        self._records: dict[Key, R] = {}
        self._by_job: defaultdict[Key, dict[str, R]] = defaultdict(dict)
        self._laid_by: defaultdict[Key, dict[str, R]] = defaultdict(dict)  # and not in these
        self._buried: OrderedDict[str, None] = OrderedDict()  # uids of what is gone for good
        self._job_of = job_of
        self._changed = changed
        self._gone = gone

    def get(self, namespace: str, name: str) -> R | None:
        """Return one record."""
        return self._records.get((namespace, name))

    def of_job(self, job: Key) -> dict[str, R]:
        """Return the records of a Job, by name."""
        return self._by_job.get(job, {})

    def jobs(self) -> Iterable[Key]:
        """Return the Jobs that have any."""
        return self._by_job.keys()

    def all(self) -> Iterable[R]:
        """Return all records."""
        return list(self._records.values())

    def is_news(self, meta: Mapping[str, Any]) -> bool:
        """Whether a state of an object with such metadata would be taken in: most are known."""
        key, version = (meta["namespace"], meta["name"]), int(meta["resourceVersion"])
        return self._is_news(key, meta["uid"], version)

    def _is_news(self, key: Key, uid: str, version: int) -> bool:
        known = self._records.get(key)
        return uid not in self._buried and (known is None or known.version < version)

    def put(self, record: R) -> None:
        """Take in a state of an object, unless a newer one is known or it is gone."""
        key = (record.namespace, record.name)
        if not self._is_news(key, record.uid, record.version):
            return
        known, job = self._records.get(key), (record.namespace, self._job_of(record))
        if known is not None and known.uid != record.uid:
            self.remove(known.namespace, known.name, known.uid)  # the name has a new owner
            known = None
        if known is not None:
            self._leave_laid_by(known)
            if self._job_of(known) != job[1]:
                _drop(self._by_job, (known.namespace, self._job_of(known)), known.name)
        self._records[key] = record
        self._by_job[job][record.name] = record
        self._note_change(known, record)
        self._changed(job)

    def lay_by(self, record: R) -> None:
        """Leave a record out of those of its Job until it changes, goes, or is taken up."""
        job = (record.namespace, self._job_of(record))
        if self._by_job.get(job, {}).get(record.name) is record:
            _drop(self._by_job, job, record.name)
            self._laid_by[job][record.name] = record

    def take_up(self, job: Key, names: Iterable[str] | None = None) -> None:
        """Look again at what was laid by of a Job: at all, or at the records of some names."""
        laid = self._laid_by.get(job)
        if not laid:
            return
        for name in list(laid) if names is None else [name for name in names if name in laid]:
            record = self._by_job[job][name] = laid[name]
            self._leave_laid_by(record)

    def _leave_laid_by(self, record: R) -> bool:
        """Lay a record by no longer; return whether it was."""
        job = (record.namespace, self._job_of(record))
        was = record.name in self._laid_by.get(job, {})
        _drop(self._laid_by, job, record.name)
        return was

    def _note_change(self, before: R | None, after: R | None) -> None:
        """Take in that a record has come, or another state of it, or that it has gone."""

    def remove(self, namespace: str, name: str, uid: str) -> None:
        """Take in that an object is gone."""
        self._buried[uid] = None
        if len(self._buried) > _TOMBSTONES:
            self._buried.popitem(last=False)
        record = self._records.get((namespace, name))
        if record is None or record.uid != uid:
            return
        job = (namespace, self._job_of(record))
        del self._records[namespace, name]
        self._leave_laid_by(record)
        _drop(self._by_job, job, name)
        self._note_change(record, None)
        self._gone(record)
        self._changed(job)

    def replace_all(
        self,
        namespace: str | None,
        records: Iterable[R],
        version: int,
        present: Set[str] = frozenset(),
    ) -> None:
        """Take in a full list made at `version`; what is missing in it is gone.

        `namespace` is None where the list is of all namespaces. `present` are the UIDs of all
        objects in the list, those that could not be read included: they are not gone.
        """
        listed = set(present)
        for record in records:
            listed.add(record.uid)
            self.put(record)
        for known in self.all():
            in_scope = namespace is None or known.namespace == namespace
            if in_scope and known.uid not in listed and known.version <= version:
                self.remove(known.namespace, known.name, known.uid)


class KnownTasks(KnownObjects[TaskSeen]):
    """VolumeTasks, grouped by the pod of a pool that has the attempt on record as well.

    With a task that is laid by, its pods are, and with it they are taken up.
    """

    def __init__(
        self,
        changed: Callable[[Key], None],
        gone: Callable[[TaskSeen], None],
        pods: KnownObjects[PodSeen],
    ) -> None:
        super().__init__(lambda task: task.job, changed, gone)
        self._pods = pods
        self._counts: dict[Key, Counter[TaskPhase]] = {}  # of those that are laid by
        self._by_pod: defaultdict[str, dict[Key, TaskSeen]] = defaultdict(dict)
        self._by_outsider: defaultdict[str, dict[Key, TaskSeen]] = defaultdict(dict)

    def with_pod(self, uid: str) -> list[TaskSeen]:
        """Return the tasks of which the pod of this UID has, or had, the current attempt."""
        return list(self._by_pod.get(uid, {}).values())

    def of_outsider(self, worker_id: str) -> list[TaskSeen]:
        """Return the tasks of which a worker from elsewhere has, or had, the current attempt."""
        return list(self._by_outsider.get(worker_id, {}).values())

    def lay_by(self, record: TaskSeen) -> None:
        """Leave a task, with its pods, out of those of its Job."""
        super().lay_by(record)
        self._counts.pop((record.namespace, record.job), None)
        for name in record.pods:
            pod = self._pods.get(record.namespace, name)
            if pod is not None and pod.owner_uid == record.uid:
                self._pods.lay_by(pod)

    def laid_by(self, job: Key) -> Mapping[TaskPhase, int]:
        """Return how many tasks of a Job are laid by, by their phase."""
        tasks = self._laid_by.get(job)
        if not tasks:
            return {}
        if job not in self._counts:
            self._counts[job] = Counter(task.phase for task in tasks.values() if task.phase)
        return self._counts[job]

    def _leave_laid_by(self, record: TaskSeen) -> bool:
        was, job = super()._leave_laid_by(record), (record.namespace, record.job)
        if was:
            self._counts.pop(job, None)
            self._pods.take_up(job, record.pods)
        return was

    def _note_change(self, before: TaskSeen | None, after: TaskSeen | None) -> None:
        if before is not None and before.recorded_begun is not None:
            key = (before.namespace, before.name)
            _drop(self._by_pod, before.recorded_begun.pod_uid, key)
            _drop(self._by_outsider, worker_of(before.recorded_begun.pod_uid), key)
        if after is not None and after.recorded_begun is not None:
            key, begun = (after.namespace, after.name), after.recorded_begun
            self._by_pod[begun.pod_uid][key] = after
            if begun.lease_seconds:
                self._by_outsider[worker_of(begun.pod_uid)][key] = after


def _drop(groups: dict[G, dict[N, R]], group: G, name: N) -> None:
    """Take a record out of its group, if it is there; a group without records goes."""
    members = groups.get(group)
    if members is not None and members.pop(name, None) is not None and not members:
        del groups[group]
