"""What kubelets say of pods that take long to start: it stands in Events alone."""

import logging
from typing import Any

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.pod_records import MESSAGE_LIMIT
from bec_operator.decide.attempts.actions import AskKubelet
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact

log = logging.getLogger(__name__)

_BEFORE_IT_HAD_A_NODE = {"FailedScheduling", "NotTriggerScaleUp"}
_EVENTS = 50  # of one pod that are looked at: the kubelet counts those that repeat


async def ask_kubelet(ctx: Context, memory: Memory, action: AskKubelet) -> None:
    """See why a pod does not start. Where Events may not be read, nothing more is said of it."""
    pod, now = action.pod, ctx.clock.now()
    query = {"fieldSelector": f"involvedObject.uid={pod.uid}", "limit": str(_EVENTS)}
    try:
        found = await ctx.api.request("GET", core(pod.namespace, "events"), query=query)
    except ApiError as error:
        if error.code >= 500 or error.code == 429:
            raise
        if all(record.heard is None for record in memory.books.records.values()):
            log.warning("%s: Events of pods cannot be read: %s", pod.namespace, error)
        heard = Fact(now)
    else:
        heard = _last_warning(found.get("items") or [], now)
    memory.books.record(action.task).note_heard(action.attempt, heard)


def _last_warning(events: list[dict[str, Any]], now: float) -> Fact:
    """Return the last warning, its reason before its words; a good fact if there is none."""
    warnings = [
        event
        for event in events
        if event.get("type") == "Warning" and event.get("reason") not in _BEFORE_IT_HAD_A_NODE
    ]
    if not warnings:
        return Fact(now)
    last = max(warnings, key=_moment)
    reason = str(last.get("reason") or "Warning")
    return Fact(now, reason, f"{reason}: {last.get('message') or ''}"[:MESSAGE_LIMIT])


def _moment(event: dict[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
