"""Which nodes the next attempt at a volume avoids: those that it failed on, and those at fault."""

from collections.abc import Sequence

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.at_fault import Hosts
from bec_operator.decide.sight.failures import RULES, FailureClass, class_of

NODES_SHUNNED = 3  # the last ones on which attempts failed


def must_move(failed: Sequence[Attempt]) -> bool:
    """Whether the next attempt is there to have another host's word."""
    return bool(failed) and class_of(failed[-1].failure) is FailureClass.BAD_HOST


def nodes_failed_on(failed: Sequence[Attempt]) -> list[str]:
    """Return the last nodes on which an attempt failed that may be why."""
    nodes = (a.node for a in reversed(failed) if a.node and RULES[class_of(a.failure)].of_node)
    return list(dict.fromkeys(nodes))[:NODES_SHUNNED]


def nodes_ruled_out(failed: Sequence[Attempt], hosts: Hosts, now: float) -> list[str]:
    """Return the nodes to which a pod must not go that is made now, if there are others."""
    never = hosts.shunned(now)
    if must_move(failed):
        never += [node for node in nodes_failed_on(failed) if node not in never]
    return never if hosts.ran_on - {*never} else []
