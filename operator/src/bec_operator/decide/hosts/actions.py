"""What can be done about a pool and its workers."""

from dataclasses import dataclass

from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod


@dataclass(frozen=True, slots=True)
class MakePool(Action):
    """Make the Deployment of the pool as the job is now, with so many workers, and say why."""

    ABOUT = ("name",)

    name: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class ScalePool(Action):
    """Set the number of workers, if it is still what we saw; `why`, for people."""

    ABOUT = ("deployment.name",)

    deployment: DeploymentSeen
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class DeletePool(Action):
    """Delete a Deployment in which nobody works any more."""

    ABOUT = ("deployment.name",)

    deployment: DeploymentSeen


@dataclass(frozen=True, slots=True)
class MarkWorker(Action):
    """Make a worker the first that its ReplicaSet takes away, or no longer."""

    ABOUT = ("pod.uid",)

    pod: PoolPod
    draining: bool


@dataclass(frozen=True, slots=True)
class GuardWorker(Action):
    """Mark that a worker must not be evicted, as it works; or that it may be, as it does not."""

    ABOUT = ("pod.uid", "guarded")

    pod: PoolPod
    guarded: bool
