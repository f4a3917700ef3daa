"""How the hosts of attempts have done lately: workers of a pool, or nodes.

A host that is broken fails at once what others do, and so attracts work. It is told from a volume
that no host does, and from a Job that fails everywhere, by what became of the same volumes
elsewhere, and by how often others fail.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

RECENT = 10  # volumes of a host that are remembered
IN_A_ROW = 2  # volumes that a host fails before it gets nothing more, where others seldom fail
SELDOM = 0.1  # of the volumes of others
BY_CHANCE = 0.01  # as seldom may a host be blamed that is like the others
LAPSES = 3  # of its recent volumes that it failed and others did
SURE_KEPT = 50  # hosts at fault that are gone
HOSTS_KEPT = 1000


@dataclass(slots=True)
class Deed:
    """What became of one volume on a host. `by` is the worker, `outdone` that another host did it.

    `credible` is a failure of a host that had done its last volume: it may well be the volume.
    """

    index: int
    well: bool
    by: str = ""
    credible: bool = False
    outdone: bool = False


@dataclass(slots=True)
class Repute:
    """What one host has done lately, the latest last.

    `proven`: it did its last volume. `bad_since` is when it was found to be at fault, `sure` that
    others did what it had failed.
    """

    name: str
    proven: bool = False
    recent: list[Deed] = field(default_factory=list)
    bad_since: float | None = None
    sure: bool = False
    failed_at: float = 0.0

    @property
    def streak(self) -> dict[int, Deed]:
        """The volumes that it has failed since it last did one."""
        failed: dict[int, Deed] = {}
        for deed in reversed(self.recent):
            if deed.well:
                break
            failed.setdefault(deed.index, deed)
        return failed

    @property
    def outdone(self) -> int:
        """How many of its recent volumes others did, once it had failed them."""
        return len({deed.index for deed in self.recent if deed.outdone})


@dataclass(slots=True)
class Reputes:
    """The hosts of one kind, by what tells them apart.

    `workers` is how many workers have to fail on a host for it to be the host.
    """

    workers: int = 1
    hosts: dict[str, Repute] = field(default_factory=dict)
    _failed: dict[int, set[str]] = field(default_factory=dict)  # volume → hosts that hold its deed
    _faulty: set[int] = field(default_factory=set)  # volumes that fail wherever they go
    _well: int = 0  # of the recent deeds of all that are not at fault for sure
    _all: int = 0

    def note_failure(self, host: str, name: str, index: int, by: str, now: float) -> None:
        """Take in that a volume failed on a host, which people know as `name`."""
        seen = self._of(host, name)
        proven, seen.proven, seen.failed_at = seen.proven, False, now
        others = [self.hosts[h] for h in self._failed.get(index, ()) if h != host]
        if any(deed.credible for o in others for deed in o.recent if deed.index == index):
            if proven:
                self.acquit(index, now)  # of the hosts
                self._faulty.add(index)
            return
        if index not in self._faulty:
            self._add(host, Deed(index, well=False, by=by, credible=proven))
            self._judge(host, now)

    def note_success(
        self, host: str, name: str, index: int, now: float, began: float = 0.0
    ) -> None:
        """Take in that a volume was done on a host: where it had failed, it was the host.

        One that does a volume that it `began` after it was found to be at fault is well again.
        """
        self._faulty.discard(index)
        failed = self._failed.get(index, set()) - {host}
        for other in failed:
            for deed in self.hosts[other].recent:
                if deed.index == index and not deed.well:
                    deed.outdone = True
        if host:
            seen = self._of(host, name)
            seen.proven = True
            if seen.bad_since is not None and began > seen.bad_since:
                self._forgive(host)
            self._add(host, Deed(index, well=True))
        for touched in (*failed, *([host] if host else ())):
            self._judge(touched, now)

    def acquit(self, index: int, now: float) -> None:
        """Hold nothing against anybody that comes of this volume: it fails wherever it goes."""
        self._faulty.discard(index)
        for host in [*self._failed.get(index, ())]:
            seen = self.hosts[host]
            self._drop(host, [d for d in seen.recent if d.index == index and not d.well])
            self._judge(host, now)

    def keep(self, there: Set[str]) -> None:
        """Forget the hosts that are gone, but for the last ones that were at fault for sure."""
        gone = [host for host in self.hosts if host not in there]
        sure = [host for host in gone if self.hosts[host].sure]
        for host in {*gone} - {*sure[-SURE_KEPT:]}:
            self._forget(host)

    def bad(self) -> dict[str, Repute]:
        """Return the hosts that are at fault."""
        return {host: seen for host, seen in self.hosts.items() if seen.bad_since is not None}

    def _of(self, host: str, name: str) -> Repute:
        known = self.hosts.get(host)
        if known is None:
            if len(self.hosts) >= HOSTS_KEPT:
                self._forget(next(iter(self.hosts)))
            known = self.hosts[host] = Repute(name)
        return known

    def _forget(self, host: str) -> None:
        self._drop(host, self.hosts[host].recent)
        del self.hosts[host]

    def _forgive(self, host: str) -> None:
        self._drop(host, [deed for deed in self.hosts[host].recent if not deed.well])

    def _add(self, host: str, deed: Deed) -> None:
        seen = self.hosts[host]
        seen.recent.append(deed)
        self._count(seen, [deed], 1)
        if not deed.well:
            self._failed.setdefault(deed.index, set()).add(host)
        if len(seen.recent) > RECENT:
            self._drop(host, seen.recent[:1])

    def _drop(self, host: str, deeds: Sequence[Deed]) -> None:
        """Forget some of what a host has done."""
        seen = self.hosts[host]
        self._count(seen, deeds, -1)
        seen.recent = [deed for deed in seen.recent if not any(deed is each for each in deeds)]
        held = {deed.index for deed in seen.recent if not deed.well}
        for index in {deed.index for deed in deeds if not deed.well} - held:
            holders = self._failed.get(index, set())
            holders.discard(host)
            if not holders:
                self._failed.pop(index, None)

    def _count(self, seen: Repute, deeds: Sequence[Deed], sign: int) -> None:
        """Keep the sums by which hosts are judged: those at fault for sure are no measure."""
        if not seen.sure:
            self._all += sign * len(deeds)
            self._well += sign * sum(deed.well for deed in deeds)

    def _judge(self, host: str, now: float) -> None:
        """Say whether a host is at fault: it fails more than one like the others would."""
        seen = self.hosts[host]
        streak, most = seen.streak, self._allowed(seen)
        workers = {deed.by for deed in streak.values()}
        in_a_row = len(streak) >= most and len(workers) >= self.workers
        often = seen.outdone > max(most, LAPSES - 1)
        bad, was = in_a_row or often, seen.bad_since
        sure = bad and (seen.sure or often or any(d.outdone for d in streak.values()))
        seen.bad_since = (now if was is None else was) if bad else None
        self._count(seen, seen.recent, -1)
        seen.sure = sure
        self._count(seen, seen.recent, 1)

    def _allowed(self, seen: Repute) -> float:
        """Return how many volumes in a row are no chance, by how often the other hosts fail."""
        mine = [] if seen.sure else seen.recent
        others = self._all - len(mine)
        failed = others - (self._well - sum(deed.well for deed in mine))
        share = failed / (others + 1)
        return IN_A_ROW if share <= SELDOM else math.ceil(math.log(BY_CHANCE) / math.log(share))
