"""Events that add up: one for each Job and reason, with a count, however often it happens."""

import hashlib
import logging
from typing import Literal

import aiohttp

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, ApiServer, core
from bec_operator.act.ground.clock import Clock
from bec_operator.api.base import API_VERSION
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import JobSeen

log = logging.getLogger(__name__)

_MESSAGE_LIMIT = 1024  # characters, as the API server allows


async def post_event(
    api: ApiServer,
    clock: Clock,
    job: JobSeen,
    reason: str,
    message: str,
    kind: Literal["Normal", "Warning"] = "Normal",
) -> None:
    """Tell people of a Job by its Event of this reason.

    An Event that cannot be written holds up nothing: it is logged instead.
    """
    log.info("%s/%s: %s: %s", job.namespace, job.name, reason, message)
    try:
        await _add(api, iso(clock.now()), job, reason, message[:_MESSAGE_LIMIT], kind)
    except (ApiError, aiohttp.ClientError, TimeoutError) as error:
        log.warning(
            "%s/%s: the Event %s (%s) could not be written: %s",
            job.namespace, job.name, reason, message, str(error) or repr(error),
        )  # fmt: skip


async def _add(
    api: ApiServer, now: str, job: JobSeen, reason: str, message: str, kind: str
) -> None:
    digest = hashlib.sha256(f"{job.uid}/{reason}".encode()).hexdigest()[:16]
    name = f"{job.name}.{digest}"
    try:
        known = await api.request("GET", core(job.namespace, "events", name))
    except ApiError as error:
        if error.code != 404:
            raise
        await api.request("POST", core(job.namespace, "events"), {
            "metadata": {"name": name, "namespace": job.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "Job",
                "namespace": job.namespace,
                "name": job.name,
                "uid": job.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "bec-operator"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        })  # fmt: skip
        return
    more = {
        "count": (known.get("count") or 0) + 1,
        "lastTimestamp": now,
        "message": message,
        "type": kind,
    }
    path = core(job.namespace, "events", name)
    await api.request("PATCH", path, more, content_type=MERGE_PATCH)
