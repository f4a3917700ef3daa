"""Which volumes may be begun where: those of a site there first, and elsewhere late or never.

A site that the Job does not name means nothing: its volumes are done anywhere, as those of none.
"""

from collections.abc import Iterator, Sequence, Set
from itertools import chain, islice

from bec_operator.api.base import seconds
from bec_operator.api.sites import Site
from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.attempts.task import is_blocked
from bec_operator.decide.hosts.pool import Host
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.site_frontier import SiteFrontier
from bec_operator.decide.volumes.volume_sites import site_of

# --- volumes without a task


def volumes_for(memory: Memory, site: str, now: float, many: int) -> list[int]:
    """Return which volumes a worker at a site may have next; an empty one is nowhere.

    First those of its own site, then those of none, then those of other sites that have waited
    for long, unless the Job has them done nowhere else.
    """
    return list(islice(_at(memory, site, _left_out(memory, now)), many))


def for_pods(memory: Memory, now: float, many: int) -> list[int]:
    """Return which volumes may have a pod next, in manifest order.

    Those of sites that are outside are behind all others, once they have waited for long, unless
    the Job has them done nowhere else.
    """
    return list(islice(_in_pods(memory, _left_out(memory, now)), many))


def share_out(
    memory: Memory, hosts: Sequence[Host], pods: int, now: float
) -> Iterator[tuple[int, Host | None]]:
    """Yield a volume for each of the workers, if there is one, and then some for so many pods.

    Workers of the pool get what pods do: where their nodes are is not asked. Those that ask for one
    volume get that one, wherever they are.
    """
    left_out = _left_out(memory, now) | {h.pod.volume for h in hosts if h.pod.volume is not None}
    in_pods, at = _in_pods(memory, left_out), dict[str, Iterator[int]]()
    for host in hosts:
        if host.pod.volume is not None:
            yield host.pod.volume, host
            continue
        found, site = in_pods, host.pod.site
        if host.pod.is_outside:
            if site not in at:
                at[site] = _at(memory, site, left_out)
            found = at[site]
        if (index := next(found, None)) is not None:
            left_out.add(index)
            yield index, host
    for index in islice(in_pods, pods):
        yield index, None


def _at(memory: Memory, site: str, left_out: Set[int]) -> Iterator[int]:
    """Yield what a worker at a site may have, but for what is left out by then."""
    frontier = memory.books.frontier
    if not isinstance(frontier, SiteFrontier):
        return _anywhere(frontier, left_out)
    own = {frontier.sites.code_of(site)} - {0}
    named = _named(memory, frontier).keys()
    found = chain(
        frontier.startable(own),
        frontier.startable(code for code in _codes(frontier) if code not in {*named, *own}),
        frontier.startable(set() if _requires(memory) else named - own, ripe=True),
    )
    return (index for index in found if index not in left_out)


def _in_pods(memory: Memory, left_out: Set[int]) -> Iterator[int]:
    """Yield what may have a pod, but for what is left out by then."""
    frontier = memory.books.frontier
    if not isinstance(frontier, SiteFrontier) or not (outside := _outside(memory, frontier)):
        return _anywhere(frontier, left_out)
    late = [] if _requires(memory) else outside
    found = chain(
        frontier.startable(code for code in _codes(frontier) if code not in outside),
        frontier.startable(late, ripe=True),
    )
    return (index for index in found if index not in left_out)


def count_for_pods(memory: Memory) -> int:
    """Return how many volumes could have a pod now, those that are being begun among them."""
    frontier = memory.books.frontier
    count = frontier.count(VolumeState.STARTABLE)
    if isinstance(frontier, SiteFrontier):
        for code in _outside(memory, frontier):
            count -= frontier.count_startable(code)
            count += 0 if _requires(memory) else frontier.count_startable(code, ripe=True)
    return count


def _anywhere(frontier: Frontier, left_out: Set[int]) -> Iterator[int]:
    return (index for index in frontier.each(VolumeState.STARTABLE) if index not in left_out)


def _left_out(memory: Memory, now: float) -> set[int]:
    """Return the volumes whose tasks are being made, and those whose names are taken."""
    under_way = {action.index for action in memory.under_way.of(CreateTask)}
    return under_way | {i for i, fact in memory.books.blocked.items() if is_blocked(fact, now)}


# --- tasks that wait for an attempt


def may_have_pod(memory: Memory, task: TaskSeen, now: float) -> bool:
    """Whether the next attempt at a task may be in a pod."""
    site = _site_of(memory, task)
    return site is None or not site.outside or _may_go_elsewhere(memory, task, now)


def may_go_to(memory: Memory, task: TaskSeen, site: str, now: float) -> bool:
    """Whether the next attempt at a task may be given to a worker at a site."""
    own = _site_of(memory, task)
    return own is None or own.name == site or _may_go_elsewhere(memory, task, now)


def may_be_new_at(memory: Memory, index: int, site: str) -> bool:
    """Whether a volume without a task may be begun at a site, where a worker asks for that one."""
    spec = memory.job.spec
    if spec is None or spec.sites is None:
        return True
    own = spec.sites.find(site_of(memory.books.volumes[index]))
    return own is None or own.name == site or not _requires(memory)


def _may_go_elsewhere(memory: Memory, task: TaskSeen, now: float) -> bool:
    """Whether a task of a site has waited for its next attempt for so long.

    Before its first one it has waited as a volume.
    """
    spec = memory.job.spec
    if spec is None or spec.sites is None or _requires(memory):
        return False
    return not task.failed or now - task.next_attempt >= seconds(spec.sites.patience)


def _site_of(memory: Memory, task: TaskSeen) -> Site | None:
    """Return the site of a task; None if it has none that the Job names."""
    spec = memory.job.spec
    if spec is None or spec.sites is None:
        return None
    return spec.sites.find(site_of(memory.books.volumes[task.index]))


# --- what the Job says


def _codes(frontier: SiteFrontier) -> range:
    """Return the codes of all sites, that of none among them."""
    return range(len(frontier.sites.names) + 1)


def _named(memory: Memory, frontier: SiteFrontier) -> dict[int, Site]:
    """Return the sites that the Job names, by the codes that its volumes have for them."""
    spec = memory.job.spec
    known = {site.name: site for site in spec.sites.of} if spec is not None and spec.sites else {}
    names = enumerate(frontier.sites.names, 1)
    return {code: known[name] for code, name in names if name in known}


def _outside(memory: Memory, frontier: SiteFrontier) -> list[int]:
    """Return the codes of the sites that are outside of the cluster."""
    return [code for code, site in _named(memory, frontier).items() if site.outside]


def _requires(memory: Memory) -> bool:
    spec = memory.job.spec
    return spec is not None and spec.sites is not None and spec.sites.requires
