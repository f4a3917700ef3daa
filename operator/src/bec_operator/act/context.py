"""What every action needs to be done."""

from dataclasses import dataclass

from bec_operator.act.api_server import ApiServer
from bec_operator.act.cache import Cache
from bec_operator.act.clock import Clock
from bec_operator.act.notifier import Notifier
from bec_operator.act.storage import Storage
from bec_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The API server, S3, what is known, the time, and who is told."""

    api: ApiServer
    storage: Storage
    cache: Cache
    clock: Clock
    settings: Settings
    notifier: Notifier | None = None  # if people outside the cluster are to be notified
