"""Jobs and the Deployments of pools: kopf tells what happens; a full look heals what it lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import kopf

from bec_operator.act.api_server import ApiError, apps, bec
from bec_operator.act.cache import R, Records
from bec_operator.act.context import Context
from bec_operator.act.pool import DEPLOYMENTS
from bec_operator.act.records import deployment_of, job_of
from bec_operator.api.base import GROUP, VERSION
from bec_operator.api.names import POOL_LABEL
from bec_operator.observe.listing import list_all

log = logging.getLogger(__name__)


def register(registry: kopf.OperatorRegistry, ctx: Context) -> None:
    """Let kopf feed the cache. Handlers of events only: they write nothing to the objects."""
    of_jobs = kopf.on.event(GROUP, VERSION, "jobs", registry=registry)
    of_jobs(_handler(ctx.cache.jobs, job_of))
    of_pools = kopf.on.event(
        "apps", "v1", DEPLOYMENTS, labels={POOL_LABEL: kopf.PRESENT}, registry=registry
    )
    of_pools(_handler(ctx.cache.deployments, deployment_of))


def _handler(records: Records[R], record_of: Callable[[Any], R]) -> Callable[..., Awaitable[None]]:
    async def take_in(event: kopf.RawEvent, **_: Any) -> None:
        item: Any = event["object"]
        if event["type"] == "DELETED":
            meta = item["metadata"]
            records.remove(meta["namespace"], meta["name"], meta["uid"])
        else:
            records.put(record_of(item))

    return take_in


async def relist(ctx: Context, namespace: str | None) -> None:
    """Look at all Jobs and pools of a namespace (None: of all); the rest is gone."""
    jobs, version = await list_all(ctx.api, bec(namespace, "jobs"))
    ctx.cache.jobs.replace_all(namespace, [job_of(item) for item in jobs], version)
    found, version = await list_all(
        ctx.api, apps(namespace, DEPLOYMENTS), {"labelSelector": POOL_LABEL}
    )
    pools = [deployment_of(item) for item in found]
    ctx.cache.deployments.replace_all(namespace, pools, version)


async def keep_relisting(ctx: Context, namespace: str | None) -> None:
    """Heal for ever what kopf's watch has missed."""
    while True:
        await asyncio.sleep(ctx.settings.relist_every)
        try:
            await relist(ctx, namespace)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("looking at all resources failed, again later: %s", error)
