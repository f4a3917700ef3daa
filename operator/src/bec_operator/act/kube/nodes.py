"""Looks at the nodes of pods that do not end."""

import logging
from typing import Any

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.context import Context
from bec_operator.decide.attempts.actions import CheckNode
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import epoch
from bec_operator.decide.sight.seen import NodeSeen

log = logging.getLogger(__name__)


async def check_node(ctx: Context, memory: Memory, action: CheckNode) -> None:
    """See whether a node is there, and Ready. Who may not look leaves its pods as they are."""
    name, now = action.node, ctx.clock.now()
    try:
        found = await ctx.api.request("GET", core(None, "nodes", name))
    except ApiError as error:
        if error.code not in {403, 404}:
            raise
        if error.code == 403 and not any(node.forbidden for node in memory.books.nodes.values()):
            log.warning(
                "%s/%s: whether node %s is lost cannot be seen, so pods on it wait until it is "
                "back: %s", memory.job.namespace, memory.job.name, name, error,
            )  # fmt: skip
        seen = NodeSeen(now, gone=error.code == 404, forbidden=error.code == 403)
    else:
        seen = node_of(found, memory.books.nodes.get(name), now)
    memory.books.note_node(name, seen)


def node_of(raw: dict[str, Any], before: NodeSeen | None, now: float) -> NodeSeen:
    """Return the record of a node; for how long we have seen it down is kept."""
    conditions = (raw.get("status") or {}).get("conditions") or []
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    if ready is None or ready["status"] == "True" or not ready.get("lastTransitionTime"):
        return NodeSeen(now)
    since = epoch(ready["lastTransitionTime"])
    same = before is not None and before.down_since == since
    return NodeSeen(now, down_since=since, seen_down=before.seen_down if same and before else now)
