"""Whether the workers of a pool reach the operator at all: who does not call only holds a node.

If none does, the pool goes to zero, and one worker tries again now and then, ever more rarely.
"""

from collections.abc import Collection, Set
from dataclasses import dataclass, field

from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.sight.moments import duration

CANNOT_CALL = "WorkersCannotCall"  # the reason of the stall
CALLS_WITHIN = 150.0  # seconds since it began or last called; so it is said within three minutes
TIMES_LONGEST = 3.0  # as long as the slowest that did call
LONGEST_PATIENCE = 3600.0  # seconds
TRY_AGAIN = (120.0, 1800.0)  # seconds until a worker tries again, doubled each time


@dataclass(slots=True)
class Calling:
    """What is known of the calls of a pool's workers.

    `most` is how many workers there may be, None for any number. `mute` are the UIDs of the pods
    whose worker has not called in time while others have.
    """

    tripped: bool = False
    said: str = ""  # why
    most: int | None = None
    mute: frozenset[str] = frozenset()
    _revision: str = ""
    _began: dict[str, tuple[int, float]] = field(default_factory=dict)  # uid → restarts, since when
    _heard: dict[str, float] = field(default_factory=dict)  # uid → when it last called, or worked
    _longest: float = 0.0  # seconds that a worker took until it called
    _tries: int = 0  # of one worker, in vain
    _again: float = 0.0  # when the next one may try
    _replaced: set[str] = field(default_factory=set)  # uids of mute ones that are to go, and
    _replaced_at: float = 0.0  # when the last of them was found; forgotten once a newer one calls

    def believe(self, said: str) -> None:
        """Take in what the Job says of it, from before a restart: one worker tries at once."""
        self.tripped, self.said = True, said

    def observe(self, pool: Pool, url: str | None, turned_away: float, now: float) -> None:
        """Take in the workers as they are. `url` is where they are told to call.

        `turned_away` is when a call was last not heard, for no fault of its worker.
        """
        if self._revision and pool.revision not in {"", self._revision}:
            self.tripped, self._tries, self._longest = False, 0, 0.0  # told something else now
            self._replaced.clear()
        self._revision = pool.revision or self._revision
        self._note_began(pool.hosts, now)
        self._note_heard(pool.hosts, now)
        running = [h for h in pool.of(pool.revision) if h.pod.runs and not h.pod.draining]
        called = [host for host in running if self._calls(host, now)]
        late = [host for host in running if self._is_late(host, turned_away, now)]
        self.mute = frozenset()
        if called:
            self._note_called(called)
            self._note_mute({host.pod.uid for host in late}, called, now)
        elif late and len(late) == len(running) and now >= self._again:
            self._trip(late, url, now)
        self.most = None if not self.tripped else int(now >= self._again)

    def _note_began(self, hosts: Collection[Host], now: float) -> None:
        for host in hosts:
            known = self._began.get(host.pod.uid)
            if host.pod.runs and (known is None or known[0] != host.pod.restarts):
                self._began[host.pod.uid] = (host.pod.restarts, now)
        for uid in self._began.keys() - {host.pod.uid for host in hosts}:
            del self._began[uid]

    def _note_heard(self, hosts: Collection[Host], now: float) -> None:
        """Note when each last called. One that works is held to the time-outs of its attempt."""
        for host in hosts:
            worker, uid = host.worker, host.pod.uid
            if host.busy:
                self._heard[uid] = now
            elif worker is not None:
                told = max(worker.registered, worker.asked or 0.0)
                self._heard[uid] = max(told, self._heard.get(uid, 0.0))
        for uid in self._heard.keys() - {host.pod.uid for host in hosts}:
            del self._heard[uid]

    def _calls(self, host: Host, now: float) -> bool:
        heard = self._heard.get(host.pod.uid)
        return heard is not None and now - heard < self._patience()

    def _is_late(self, host: Host, turned_away: float, now: float) -> bool:
        """Whether it should have called by now. One that has registered may load for any time."""
        worker, since = host.worker, self._since(host)
        heard = self._heard.get(host.pod.uid, 0.0)
        if worker is not None and not worker.has_asked and worker.registered >= max(since, heard):
            return False
        return now - max(since, heard, turned_away) >= self._patience()

    def _note_called(self, called: Collection[Host]) -> None:
        self.tripped, self.said, self._tries, self._again = False, "", 0, 0.0
        for host in called:
            if host.worker is not None:
                took = host.worker.registered - self._since(host)
                self._longest = max(self._longest, took)

    def _note_mute(self, mute: Set[str], called: Collection[Host], now: float) -> None:
        """Take in who is to go; the next ones have the usual time again once one has called."""
        if not mute and any(self._since(host) > self._replaced_at for host in called):
            self._replaced.clear()
        if mute - self._replaced:
            self._replaced_at = now
        self.mute = frozenset(mute)
        self._replaced |= mute

    def _trip(self, late: Collection[Host], url: str | None, now: float) -> None:
        first, most = TRY_AGAIN
        where = url or "the operator, whose BEC_OPERATOR_WORKER_URL is not set"
        self.said = (
            f"{len(late)} worker(s) of the pool ran for {duration(self._patience())}, and none has "
            f"called {where}: see to it that NetworkPolicies let them, and that it is the "
            "operator's address; a worker that has to load for long calls register before; "
            "meanwhile the pool is at zero, and one tries again now and then"
        )
        self._again = now + min(first * 2.0 ** min(self._tries, 10), most)
        self._tries += 1
        self.tripped = True

    def _since(self, host: Host) -> float:
        return self._began[host.pod.uid][1]

    def _patience(self) -> float:
        """Return the seconds that a worker may take: what loads first, and calls then, gets there.

        Each that was in vain makes it longer.
        """
        base = max(CALLS_WITHIN, TIMES_LONGEST * self._longest)
        vain = min(self._tries + len(self._replaced), 10)
        return min(base * 2.0**vain, max(LONGEST_PATIENCE, base))
