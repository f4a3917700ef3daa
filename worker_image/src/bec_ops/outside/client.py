"""The worker API as a worker from elsewhere calls it: over TLS, by its id and secret."""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import urllib3

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.protocol import (
    Assigned,
    Enrol,
    Enrolled,
    HeartbeatAnswer,
    Holds,
    Mine,
    Register,
    Registered,
)
from bec_ops.link.operator_client import WAIT_SECONDS, OperatorClient, RefusedError
from bec_ops.outside.identity import Identity, StateFolder

# The way to an operator may be long, but a worker has better things to do than to wait for it.
_TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)
_BEATS = 3  # a lease, at least: one may be lost
_USUAL_BEAT = 30.0  # seconds
_TOKEN_CHARACTERS = 256


@dataclass(frozen=True)
class Offer:
    """What a worker would do: tasks of these Jobs, by these handlers, at this site.

    One that does not give signs of life by itself has a task for longer without any.
    """

    jobs: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    site: str = ""
    beats: bool = True


@dataclass(frozen=True)
class Seat:
    """One place of a worker at its operator, and the process that sits there."""

    name: str
    process: str

    @classmethod
    def new(cls, name: str) -> "Seat":
        """Sit down anew: what an earlier process had there is tried again."""
        return cls(name, secrets.token_hex(16))


class OutsideClient(OperatorClient):
    """Calls the operator as one seat of a worker; `identify` is told anew for each call.

    `on_heard` is called with the moment at which a call was made that was answered well. That a
    task is to be the last one is about its Job: who is not of the cluster has others.
    """

    def __init__(
        self, identify: Callable[[], Identity], seat: Seat, offer: Offer | None = None
    ) -> None:
        self._identify, self.seat, self._offer = identify, seat, offer or Offer()
        self.lease_seconds: float | None = None
        self.on_heard: Callable[[float], None] = lambda _: None
        super().__init__(identify().url, None)
        self._process = seat.process

    def register(self) -> Registered:
        """Open the seat's session; under a short lease signs of life are due more often."""
        found = super().register()
        return found.model_copy(update={"heartbeat_seconds": self.heartbeat_seconds})

    @property
    def heartbeat_seconds(self) -> float:
        """The time between two signs of life, as the operator last said, and the lease wants it."""
        known = self._registered
        usual = _USUAL_BEAT if known is None else known.heartbeat_seconds
        return usual if self.lease_seconds is None else min(usual, self.lease_seconds / _BEATS)

    def next(self) -> Assigned:
        """Wait a while for a task that is offered to be done."""
        return self.next_within(WAIT_SECONDS)

    def next_within(self, wait: float) -> Assigned:
        """Wait so many seconds for one, at most."""
        return self._next(wait, asdict(self._offer))

    def heartbeat(self, **fields: Any) -> HeartbeatAnswer:
        """Give a sign of life; the time of the answer's question is what is sure to be heard."""
        asked = now()
        answer = super().heartbeat(**fields)
        self.on_heard(asked)
        return answer

    def mine(self) -> Holds:
        """Return which tasks the worker has, in all its seats."""
        return self._post("mine", Mine(), Holds)

    def forget_session(self) -> None:
        """Register again with the next call: the worker has become another one."""
        with self._lock:
            self._registered = None

    def _make_http(self) -> urllib3.PoolManager:
        return _http(self._identify().ca)

    def _who(self) -> Register:
        return Register(process=self._process, seat=self.seat.name)

    def _authorization(self) -> dict[str, str]:
        found = self._identify()
        basic = f"{found.worker_id}:{found.secret}"
        return urllib3.make_headers(basic_auth=basic)


class _Enrolling(OperatorClient):
    """Calls the operator as somebody whom it does not know yet."""

    def __init__(self, url: str, ca: Path | None) -> None:
        self._ca = ca
        super().__init__(url, None)

    def enrol(self, request: Enrol) -> Enrolled:
        """Ask to be taken in."""
        return self._post("enrol", request, Enrolled)

    def _make_http(self) -> urllib3.PoolManager:
        return _http(self._ca)


def enrol(folder: StateFolder, url: str, token: str, name: str, ca: Path | None) -> Identity:
    """Have this machine taken in by the token of an administrator, and keep who it is then.

    Raises UnreachableError if the operator does not answer: asking again is safe, the secret is
    the same one. Raises RefusedError if it does not want this worker.
    """
    if not token or len(token) > _TOKEN_CHARACTERS:  # its text must not stand in a message
        raise MisconfiguredError(
            f"the token has {len(token)} characters: give it as the administrator did, by "
            "--token-file FILE"
        )
    made = folder.begin(url, name, ca)
    try:
        request = Enrol(token=token, secret=made.secret, name=name)
        answer = _Enrolling(url, ca).enrol(request)
    except RefusedError:
        folder.drop_draft()
        raise
    identity = made.model_copy(update={"worker_id": answer.worker_id})
    folder.keep(identity)
    return identity


def now() -> float:
    """Return seconds that go on while the machine sleeps, as the operator's clock does."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _http(ca: Path | None) -> urllib3.PoolManager:
    """Return what connections are made with, each checked against `ca` or the system's list."""
    if ca is not None and not ca.is_file():
        raise MisconfiguredError(f"{ca} is not there: give a file of certificates by the key ca")
    trusted = None if ca is None else str(ca)
    return urllib3.PoolManager(
        retries=False, timeout=_TIMEOUT, maxsize=2, cert_reqs="CERT_REQUIRED", ca_certs=trusted
    )
