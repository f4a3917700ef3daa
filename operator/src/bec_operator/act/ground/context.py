"""What every action needs to be done."""

from dataclasses import dataclass, field

from bec_operator.act.ground.api_server import ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.connections import Connections
from bec_operator.act.ground.notifier import Notifier
from bec_operator.act.ground.storage import Storage
from bec_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The API server, S3, what is known, the time, other servers, and who is told."""

    api: ApiServer
    storage: Storage
    cache: Cache
    clock: Clock
    settings: Settings
    connections: Connections = field(default_factory=Connections)
    notifier: Notifier | None = None  # if people outside the cluster are to be notified
