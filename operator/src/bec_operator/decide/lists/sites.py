"""What is said of the sites that volumes came with."""

from collections.abc import Collection

from bec_operator.api.job import JobPhase
from bec_operator.api.sites import Sites
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.site_frontier import SiteFrontier

UNKNOWN_SITES = "SitesUnknown"
_TOLD = 3  # names


def tell_of_sites(memory: Memory, phase: JobPhase, verdict: tuple[str, str]) -> tuple[str, str]:
    """Return reason and sentence of a Job, with what is to be said of sites it does not name."""
    frontier, spec, listed = memory.books.frontier, memory.job.spec, memory.books.listed
    if phase is not JobPhase.RUNNING or spec is None:
        return verdict
    reason, message = verdict
    if isinstance(frontier, SiteFrontier):
        pairs = zip(frontier.sites.names, frontier.sites.counts, strict=True)
        unknown = {name: count for name, count in pairs if not names(spec.sites, name)}
        if unknown:
            message = f"{message}; {told_of_unknown(sum(unknown.values()), unknown)}"
    if listed is not None and listed.moved:
        message = f"{message}; {told_of_moved(listed.moved)}"
    return reason, message


def names(sites: Sites | None, name: str) -> bool:
    """Whether a Job names a site."""
    return sites is not None and sites.find(name) is not None


def told_of_unknown(volumes: int, unknown: Collection[str]) -> str:
    """Say of so many volumes that their sites mean nothing."""
    shown = ", ".join(sorted(unknown)[:_TOLD]) + (", …" if len(unknown) > _TOLD else "")
    if volumes == 1:
        return f"1 volume has a site that spec.sites does not name ({shown}); it is done anywhere"
    return (
        f"{volumes} volumes have a site that spec.sites does not name ({shown}); they are done "
        "anywhere"
    )


def told_of_moved(moved: int) -> str:
    """Say of so many volumes that the list has another site for them now."""
    if moved == 1:
        return "1 volume has another site in the list now; the one that it came with counts"
    return f"{moved} volumes have another site in the list now; the ones they came with count"
