"""Workers from elsewhere that ask for work, since this operator runs: which Job may have a look."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Set

from bec_operator.act.ground.key import Key
from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.sight.pool_seen import PoolPod

REMEMBERED = 10_000  # seats; the one of which nothing was heard for longest is forgotten first


class OutsideHosts:
    """By Job, and by what stands for the UID of a pod. `changed` is told which Job to look at.

    `forget` is told of a seat that is forgotten.
    """

    def __init__(self, changed: Callable[[Key], None], forget: Callable[[str], None]) -> None:
        self._changed = changed
        self._forget = forget
        self.turned_away = 0.0  # when a call was last not heard, for no fault of its worker
        self._offered: dict[Key, dict[str, PoolPod]] = {}
        self._seats: OrderedDict[str, None] = OrderedDict()

    def note(self, uid: str) -> None:
        """Take in that a seat was heard of."""
        self._seats[uid] = None
        self._seats.move_to_end(uid)
        if len(self._seats) > REMEMBERED:
            gone, _ = self._seats.popitem(last=False)
            self._forget(gone)

    def note_turned_away(self, now: float) -> None:
        """Take in that workers which call are not heard: too many do."""
        self.turned_away = max(self.turned_away, now)

    @property
    def seats(self) -> Set[str]:
        """The seats that were heard of."""
        return self._seats.keys()

    @property
    def workers(self) -> set[str]:
        """The ids of the workers that were heard of."""
        return {worker_of(uid) for uid in self._seats}

    def of_job(self, job: Key) -> Mapping[str, PoolPod]:
        """Return those that are offered to a Job."""
        return self._offered.get(job, {})

    def offer(self, job: Key, host: PoolPod) -> None:
        """Let a Job have a look at a worker that asks."""
        self._offered.setdefault(job, {})[host.uid] = host
        self._changed(job)

    def withdraw(self, job: Key, uid: str) -> None:
        """Take back an offer."""
        offered = self._offered.get(job, {})
        offered.pop(uid, None)
        if not offered:
            self._offered.pop(job, None)
