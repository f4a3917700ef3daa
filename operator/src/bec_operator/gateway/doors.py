"""The ways in for workers from elsewhere: which of them are open, as the settings have it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.server import OutsideApi
from bec_operator.gateway.tls import Certificate
from bec_operator.worker_api.serving import Serving

RENEW_EVERY = 30.0  # seconds between two looks whether the certificate has changed


class Doors:
    """All servers of the gateway."""

    def __init__(self, ctx: Context, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = ctx.settings
        self._certificate: Certificate | None = None
        self._open: list[Serving] = []

    @property
    def are_any(self) -> bool:
        """Whether anybody may come in from elsewhere."""
        return bool(self._settings.outside_port)

    async def open(self) -> None:
        """Listen; raises OSError if somebody has a port, or there is no certificate."""
        if not self.are_any:
            return
        folder = Path(self._settings.outside_tls)
        certificate = self._certificate = Certificate(folder / "tls.crt", folder / "tls.key")
        port = self._settings.outside_port
        self._open = [OutsideApi(self._gateway, port, certificate).serving]
        for serving in self._open:
            await serving.start()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run beside them."""
        return [self._renew()] if self._certificate is not None else []

    async def close(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        for serving in self._open:
            await serving.stop()

    async def _renew(self) -> None:
        assert self._certificate is not None
        while True:
            await asyncio.sleep(RENEW_EVERY)
            self._certificate.renew()
