"""Who a worker from elsewhere is, and of which Jobs it may have volumes."""

from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bec_operator.act.ground.key import Key


@dataclass(frozen=True, slots=True)
class Scope:
    """What an enrolment allows: Jobs of these names, patterns with `*`, in these namespaces.

    `sites` are those that its workers may say they are at; empty: any. `expires` is when all of it
    ends, in seconds since 1970; None: never.
    """

    namespaces: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ("*",)
    sites: tuple[str, ...] = ()
    expires: float | None = None

    def covers(self, job: Key) -> bool:
        """Whether a Job is in it."""
        namespace, name = job
        named = any(fnmatchcase(name, pattern) for pattern in self.jobs)
        return named and bool({namespace, "*"} & {*self.namespaces})

    def allows_site(self, site: str) -> bool:
        """Whether a worker may say that it is at a site."""
        return not site or not self.sites or site in self.sites


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an administrator has made for workers to come in by."""

    name: str
    token: str = field(repr=False)
    scope: Scope
    uses: int | None = None  # workers that may be taken in; None: as many as like


@dataclass(frozen=True, slots=True)
class Outsider:
    """A worker from elsewhere. Its `id` never changes, `name` is for people."""

    id: str
    name: str
    enrolment: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker would do: tasks of these Jobs, by these handlers; of any if it names none."""

    jobs: Collection[Key] = ()
    handlers: Collection[str] = ()
    site: str = ""
