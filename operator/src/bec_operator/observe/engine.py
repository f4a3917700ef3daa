"""kopf runs the process: signals, the probe, the order of the end. It watches and writes nothing.

Its watch reads an event with a reader that gives up at some nesting, and the process with it: one
Job would stop the operator for all. So Jobs have a watch of ours, as all else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import kopf

from bec_operator.act.ground.context import Context
from bec_operator.observe.watch import Watch

log = logging.getLogger(__name__)


async def run_kopf(
    ctx: Context, watches: Iterable[Watch], at_end: Callable[[], Awaitable[None]]
) -> None:
    """Run kopf until the process is told to stop; `at_end` is done while requests still work."""
    registry = kopf.OperatorRegistry()
    session = await ctx.api.session()

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=ctx.api.address, aiohttp_session=session)

    async def live(**_: Any) -> dict[str, float]:
        ages = {f"{watch.plural} of {watch.scope}": round(watch.age, 1) for watch in watches}
        if any(age > ctx.settings.watch_age for age in ages.values()):
            raise kopf.PermanentError(f"no sign from a watch, seconds: {ages}")
        return ages

    async def end(**_: Any) -> None:
        await at_end()

    kopf.on.login(registry=registry)(log_in)
    kopf.on.probe(id="watch-age", registry=registry)(live)
    kopf.on.cleanup(registry=registry)(end)
    await kopf.operator(
        registry=registry,
        settings=_settings(),
        standalone=True,
        clusterwide=not ctx.settings.namespaces,
        namespaces=ctx.settings.namespaces,
        liveness_endpoint=f"http://0.0.0.0:{ctx.settings.health_port}/healthz",
    )


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle what no task awaits: as asyncio does, but for generators that are left at the end.

    kopf leaves nested generators of its watches to the end of the loop, which closes them all at
    once, each while another closes it: nothing is lost, and no traceback should say so.
    """
    if "asyncgen" in context:
        log.debug("%s: %r", context["message"], context.get("exception"))
    else:
        loop.default_exception_handler(context)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.networking.request_timeout = 30
    return settings
