"""The workers that have registered: their ids, and what goes on at each."""

import asyncio
import hmac
import logging
from dataclasses import dataclass, replace

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.act.ground.faults import log_fault
from bec_operator.gateway.faces.grpc.addresses import Address, Allowed
from bec_operator.gateway.faces.grpc.peer import Peer
from bec_operator.gateway.faces.grpc.working import Working
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.logins import visitor
from bec_operator.gateway.tls import Certificate
from bec_operator.settings import FaceSettings
from bec_operator.worker_api.callers.refusals import CallRefusedError

log = logging.getLogger(__name__)

_MOST = 500  # workers at once
_FORGOTTEN = 3600.0  # seconds after which one that does not answer has gone


@dataclass(frozen=True, slots=True)
class _Known:
    address: str
    working: Working
    task: "asyncio.Task[None]"


class Workers:
    """All workers that have registered, by ids that they have again when they register again."""

    def __init__(
        self, gateway: Gateway, settings: FaceSettings, certificate: Certificate | None
    ) -> None:
        self._gateway = gateway
        self._enrolment = settings.enrolment
        self._allowed = Allowed(settings.workers)
        self._certificate = certificate
        self._known: dict[str, _Known] = {}

    def enrolment(self) -> Enrolment:
        """Return what all who call are allowed; raises CallRefusedError if that is nothing."""
        found = self._gateway.enrolling.by_name(self._enrolment) if self._enrolment else None
        if found is None:
            raise CallRefusedError(
                "Forbidden",
                "nobody may come in here: the face grpc names no enrolment that holds; ask the "
                "administrator for one",
            )
        return found

    def register(self, text: str) -> str:
        """Take a worker in, and return its id."""
        enrolment = self.enrolment()
        address = self._allowed.check(text)
        worker_id = self._id(enrolment, address.text)
        if worker_id in self._known:
            return worker_id
        if len(self._known) >= _MOST:
            raise CallRefusedError("TooMany", f"{_MOST} workers are here already")
        worker = replace(visitor(enrolment, address.text), name=_name(address))
        peer = Peer(address, self._certificate)
        working = Working(self._gateway, worker, lambda: self.enrolment().scope, peer)
        task = asyncio.create_task(self._keep(worker_id, working))
        self._known[worker_id] = _Known(address.text, working, task)
        log.info("worker %s has registered over gRPC", address.text)
        return worker_id

    async def deregister(self, worker_id: str) -> None:
        """Let a worker go; an id that is nobody's changes nothing."""
        known = self._known.pop(worker_id, None)
        if known is None:
            return
        known.task.cancel()
        await asyncio.wait([known.task])
        await known.working.leave()
        log.info("worker %s has left", known.address)

    async def stop(self) -> None:
        """Ask nobody any more. What runs goes on, and its lease runs out."""
        tasks = [known.task for known in self._known.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, worker_id: str, working: Working) -> None:
        while True:
            try:
                await working.keep(_FORGOTTEN)
            except Exception as error:  # noqa: BLE001 - one worker's trouble is nobody else's
                log_fault(log, error, "a worker over gRPC")
                await asyncio.sleep(30.0)
                continue
            self._known.pop(worker_id, None)
            return

    def _id(self, enrolment: Enrolment, address: str) -> str:
        """Return what nobody can guess, so that nobody else takes it back."""
        return hmac.digest(enrolment.token.encode(), f"grpc {address}".encode(), "sha256").hex()[
            :32
        ]


def _name(address: Address) -> str:
    return address.text.replace("[", "").replace("]", "").replace(":", "-")[:63]
