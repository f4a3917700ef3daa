"""Who may come in from elsewhere: what administrators have made for that, and who has come."""

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

    def is_over(self, now: float) -> bool:
        """Whether its time has passed."""
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A Secret by whose token workers come in. `used` of its `uses` are; None: as many as like.

    `last` is who came in last, `problem` says what is wrong with it: nobody comes in by it then.
    """

    namespace: str
    name: str
    uid: str
    version: int
    token: str = field(repr=False)
    scope: Scope = Scope()
    uses: int | None = None
    used: int = 0
    last: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The Secret of a worker that has come in by an enrolment; `known_as` is for people.

    `digest` is the SHA-256 of its secret, in hexadecimal digits; `offers` are the kinds of work of
    one whose protocol says them at its start only.
    """

    namespace: str
    name: str
    uid: str
    version: int
    worker_id: str
    digest: str = field(repr=False)
    enrolment: str = ""
    enrolment_uid: str = ""
    known_as: str = ""
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outsider:
    """A worker from elsewhere. Its `id` never changes, `name` is for people."""

    id: str
    name: str
    enrolment: str
    scope: Scope
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker would do: tasks of these Jobs, by these handlers; of any if it names none.

    `beats`: it gives signs of life while it works, so its lease may be short. `volume` is the index
    of the one that it wants of the Job that it names, None: it takes any.
    """

    jobs: Collection[Key] = ()
    handlers: Collection[str] = ()
    site: str = ""
    beats: bool = True
    volume: int | None = None
