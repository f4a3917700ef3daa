"""The ways in for workers from elsewhere: which of them are open, as the settings have it."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bec_operator.act.ground.context import Context
from bec_operator.gateway.faces.data_dispatcher.door import DataDispatcher
from bec_operator.gateway.faces.data_dispatcher.names import FACE as DATA_DISPATCHER
from bec_operator.gateway.faces.flamenco.face import FlamencoFace
from bec_operator.gateway.faces.reefguide.face import ReefGuideFace
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.server import OutsideApi
from bec_operator.gateway.tls import Certificate
from bec_operator.settings import FaceSettings

log = logging.getLogger(__name__)

RENEW_EVERY = 5.0  # seconds between two looks whether the certificate has changed


class Door(Protocol):
    """A server of the gateway."""

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""

    async def stop(self) -> None:
        """Let calls under way come to their end, and listen no more."""


def _grpc(gateway: Gateway, settings: FaceSettings, certificate: Certificate | None) -> Door:
    """Make the face of gRPC, whose library is loaded where it is spoken, and nowhere else."""
    from bec_operator.gateway.faces.grpc.face import GrpcFace  # noqa: PLC0415

    return GrpcFace(gateway, settings, certificate)


MakeFace = Callable[[Gateway, FaceSettings, Certificate | None], Door]
FACES: Mapping[str, MakeFace] = {
    DATA_DISPATCHER: DataDispatcher,
    "flamenco": FlamencoFace,
    "grpc": _grpc,
    "reefguide": ReefGuideFace,
}
"""What makes each of the faces."""


class Doors:
    """All servers of the gateway."""

    def __init__(self, ctx: Context, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = ctx.settings
        self._certificate: Certificate | None = None
        self._open: list[Door] = []
        self._waiting: list[tuple[bool, Callable[[Certificate | None], Door]]] = []
        self._said = ""

    @property
    def are_any(self) -> bool:
        """Whether anybody may come in from elsewhere."""
        return bool(self._settings.outside_port or self._settings.faces)

    async def open(self) -> None:
        """Listen; raises OSError if somebody has a port. What has no certificate yet waits."""
        self._waiting = list(self._wanted())
        await self._open_what_may()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run beside them."""
        return [self._tend()] if any(tls for tls, _ in self._wanted()) else []

    async def close(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        for door in self._open:
            await door.stop()

    def _wanted(self) -> Iterator[tuple[bool, Callable[[Certificate | None], Door]]]:
        """Yield what makes each door, and whether it needs the certificate."""
        settings = self._settings
        if settings.outside_port:
            yield True, lambda cert: OutsideApi(self._gateway, settings.outside_port, _some(cert))
        for face in settings.faces:
            yield face.tls, partial(_face, self._gateway, face)

    async def _open_what_may(self) -> None:
        if self._certificate is None and any(tls for tls, _ in self._waiting):
            self._certificate = self._find_certificate()
        for tls, make in [*self._waiting]:
            if tls and self._certificate is None:
                continue
            door = make(self._certificate if tls else None)
            await door.start()
            self._open.append(door)
            self._waiting.remove((tls, make))

    def _find_certificate(self) -> Certificate | None:
        """Return the certificate, None while there is none: nobody in the cluster waits for it."""
        folder = Path(self._settings.outside_tls)
        try:
            return Certificate(folder / "tls.crt", folder / "tls.key")
        except (OSError, ssl.SSLError) as error:
            said = f"nobody can come in over TLS: {folder}/tls.crt: {error}"
            if said != self._said:
                log.warning(said)
            self._said = said
            return None

    async def _tend(self) -> None:
        """Take in a certificate that comes late, and one that is renewed."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            if self._waiting:
                await self._open_what_may()
            if self._certificate is not None:
                self._certificate.renew()


def _some(certificate: Certificate | None) -> Certificate:
    assert certificate is not None
    return certificate


def _face(gateway: Gateway, face: FaceSettings, certificate: Certificate | None) -> Door:
    return FACES[face.face](gateway, face, certificate)
