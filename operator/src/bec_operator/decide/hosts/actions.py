"""What can be done about a pool and its workers."""

from collections.abc import Hashable
from dataclasses import dataclass

from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod


@dataclass(frozen=True, slots=True)
class MakePool(Action):
    """Make the Deployment of the pool as the job is now, with so many workers, and say why."""

    name: str
    replicas: int
    why: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True)
class ScalePool(Action):
    """Set the number of workers, if it is still what we saw; `why`, for people."""

    deployment: DeploymentSeen
    replicas: int
    why: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.deployment.name,)


@dataclass(frozen=True, slots=True)
class DeletePool(Action):
    """Delete a Deployment in which nobody works any more."""

    deployment: DeploymentSeen

    def _about(self) -> tuple[Hashable, ...]:
        return (self.deployment.name,)


@dataclass(frozen=True, slots=True)
class MarkWorker(Action):
    """Make a worker the first that its ReplicaSet takes away, or no longer."""

    pod: PoolPod
    draining: bool

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class GuardWorker(Action):
    """Mark that a worker must not be evicted, as it works; or that it may be, as it does not."""

    pod: PoolPod
    guarded: bool

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid, self.guarded)
