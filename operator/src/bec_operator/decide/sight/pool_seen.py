"""What is seen of a pool: its Deployments, their pods, and the worker processes in these."""

from dataclasses import dataclass

from bec_operator.decide.sight.seen import PodSeen


@dataclass(frozen=True, slots=True)
class DeploymentSeen:
    """One revision of a Job's pool. `refused` is what is said to pods that it does not get.

    `avoids` are the nodes to which its pods must not go.
    """

    namespace: str
    name: str
    uid: str
    version: int
    job: str
    owner_uid: str
    replicas: int
    refused: str = ""
    deleting: bool = False
    avoids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolPod:
    """A pod of a pool. `pool` is the name of its Deployment.

    `ended` is the pod as it was when the last process in it had ended, None before any has.
    `volume` is the index of the one that a worker from elsewhere asks for, None: it takes any.
    """

    pod: PodSeen
    pool: str
    ready: bool = False
    draining: bool = False  # marked to go
    guarded: bool = False  # marked not to be evicted
    runs: bool = False  # a process runs in it
    ended: PodSeen | None = None
    restarts: int = 0  # of the process
    volume: int | None = None
    site: str = ""  # where a worker from elsewhere says that it is

    @property
    def is_outside(self) -> bool:
        """Whether it is no pod, but a worker from elsewhere."""
        return not self.pool

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.pod.namespace

    @property
    def name(self) -> str:
        """Its name."""
        return self.pod.name

    @property
    def uid(self) -> str:
        """Its UID."""
        return self.pod.uid

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return self.pod.version

    @property
    def job(self) -> str:
        """The Job that it works for."""
        return self.pod.job

    @property
    def active(self) -> bool:
        """Whether its ReplicaSet counts it."""
        return self.pod.alive and not self.pod.deleting


@dataclass(frozen=True, slots=True)
class PoolWorker:
    """The process in a pod of a pool that registered last, as far as it has told.

    `asked` is when it last asked for work, and `idle_since` when it did so first since it had some;
    both are None while it works. `given` counts the attempts that it got; `has` is the last one,
    as the UID of the task and the attempt's number. `left` are those on record for it that it does
    not work on.
    """

    pod_uid: str
    session: str
    registered: float
    asked: float | None = None
    idle_since: float | None = None
    given: int = 0
    has: tuple[str, int] | None = None
    left: frozenset[tuple[str, int]] = frozenset()

    @property
    def has_asked(self) -> bool:
        """Whether it has come as far as to ask for work."""
        return self.asked is not None or self.given > 0
