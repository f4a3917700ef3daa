"""What bears on one pass over a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import PodSeen
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings


@dataclass(frozen=True, slots=True)
class Scene:
    """What bears on one pass: the memory of the job, its pods by name, and the time."""

    memory: Memory
    pods: Mapping[str, PodSeen]
    now: float
    record_every: float = 60.0  # seconds between two heartbeats that are written on a pod
    standings: Standings = field(default_factory=Standings)
    room: Room = field(default_factory=Room)
    node_lost: float = 300.0  # seconds after which a node that is not Ready is lost
    marker_shows: float = 30.0  # seconds that S3 may take to show a marker that was written
    parted: Mapping[str, PodSeen] = field(default_factory=dict)  # task uid → its pod that went last
    list_every: float = 60.0  # seconds between two looks at the list of volumes
    show_every: float = 30.0  # seconds between two looks at what runs that a database gets
    pool: Pool = field(default_factory=Pool)
    outside: tuple[Host, ...] = ()  # workers from elsewhere that ask for work of this job
    laid_by: Mapping[TaskPhase, int] = field(default_factory=dict)  # tasks kept as history
    turned_away: float = 0.0  # when calls of workers were last not heard, for no fault of theirs
