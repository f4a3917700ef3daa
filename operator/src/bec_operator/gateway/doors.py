"""The ways in for workers from elsewhere: which of them are open, as the settings have it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
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

    @property
    def are_any(self) -> bool:
        """Whether anybody may come in from elsewhere."""
        return bool(self._settings.outside_port or self._settings.faces)

    async def open(self) -> None:
        """Listen; raises OSError if somebody has a port, or there is no certificate."""
        settings = self._settings
        if settings.outside_port or any(face.tls for face in settings.faces):
            folder = Path(settings.outside_tls)
            self._certificate = Certificate(folder / "tls.crt", folder / "tls.key")
        if settings.outside_port:
            assert self._certificate is not None
            self._open.append(OutsideApi(self._gateway, settings.outside_port, self._certificate))
        for face in settings.faces:
            certificate = self._certificate if face.tls else None
            self._open.append(FACES[face.face](self._gateway, face, certificate))
        for door in self._open:
            await door.start()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run beside them."""
        return [_renew(self._certificate)] if self._certificate is not None else []

    async def close(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        for door in self._open:
            await door.stop()


async def _renew(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY)
        certificate.renew()
