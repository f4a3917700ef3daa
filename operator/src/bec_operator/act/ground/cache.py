"""What is known of the cluster: by the watches, and at once by the answers to our own writes."""

from collections.abc import Callable

from bec_operator.act.ground.enrolled import Enrolled, Enrolment
from bec_operator.act.ground.key import Key
from bec_operator.act.ground.known_objects import KnownObjects, KnownTasks
from bec_operator.act.ground.outside_hosts import OutsideHosts
from bec_operator.act.ground.pool_workers import PoolWorkers
from bec_operator.act.ground.task_workers import TaskWorkers
from bec_operator.act.ground.unreadable import Unreadable
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen


class Cache:
    """Jobs, VolumeTasks, pods and workers, as last seen. `changed` is told which Job to look at."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self.workers = TaskWorkers(changed)
        self.pool_workers = PoolWorkers(changed)
        self.enrolled: KnownObjects[Enrolment | Enrolled] = KnownObjects(
            lambda _: "", lambda _: None
        )
        self.outside = OutsideHosts(changed, self.pool_workers.forget)
        self.jobs: KnownObjects[JobSeen] = KnownObjects(lambda job: job.name, changed)
        self.pods: KnownObjects[PodSeen] = KnownObjects(lambda pod: pod.job, changed, self._part)
        self.tasks = KnownTasks(changed, self._forget, self.pods)
        self.pool_pods: KnownObjects[PoolPod] = KnownObjects(
            lambda pod: pod.job, changed, lambda pod: self.pool_workers.forget(pod.uid)
        )
        self.deployments: KnownObjects[DeploymentSeen] = KnownObjects(
            lambda seen: seen.job, changed
        )
        self.unreadable = Unreadable(changed)
        self.parted: dict[str, PodSeen] = {}  # task uid → its pod that went last, as it was then

    def _part(self, pod: PodSeen) -> None:
        task = self.tasks.get(pod.namespace, pod.task)
        if task is not None and task.uid == pod.owner_uid:
            self.parted[task.uid] = pod

    def _forget(self, task: TaskSeen) -> None:
        self.workers.forget(task)
        self.parted.pop(task.uid, None)
