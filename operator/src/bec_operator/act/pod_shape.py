"""What earlier attempts change in the next one's pod: more memory, and rather another node."""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from kubernetes.utils import quantity

from bec_operator.api.job import OutOfMemory
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.failures import RULES, FailureClass, class_of

Object = dict[str, Any]
NODES_SHUNNED = 3  # the last ones on which attempts failed
_MI = 2**20
_parse: Callable[[object], Decimal] = quantity.parse_quantity  # it has no types


def fit(spec: Object, worker: Object, failed: Sequence[Attempt], rule: OutOfMemory) -> None:
    """Change a pod's `spec`, and in it the container `worker`, by how earlier attempts failed.

    `failed` are these, in their order.
    """
    _add_memory(worker, failed, rule)
    _shun_nodes(spec, failed)


def _add_memory(worker: Object, failed: Sequence[Attempt], rule: OutOfMemory) -> None:
    kills = sum(class_of(a.failure) is FailureClass.OUT_OF_MEMORY for a in failed)
    resources = worker.get("resources") or {}
    if not kills:
        return
    factor, most = Decimal(str(rule.factor)) ** kills, _parse(rule.max)
    more = {
        kind: {**amounts, "memory": _scaled(amounts["memory"], factor, rule.max, most)}
        for kind in ("requests", "limits")
        if (amounts := resources.get(kind) or {}).get("memory") is not None
    }
    worker["resources"] = {**resources, **more}


def _scaled(given: Any, factor: Decimal, most_text: str, most: Decimal) -> Any:
    """Return a quantity times `factor`: in whole Mi, at most `most`, at least what was given.

    It grows with `given`, so that a request never passes its limit.
    """
    amount = _amount(given)
    if amount <= 0 or amount >= most:
        return given  # also what is no quantity: that is for the API server to say
    mebibytes = math.ceil(amount * factor / _MI)
    return f"{mebibytes}Mi" if mebibytes * _MI < most else most_text


def _amount(given: Any) -> Decimal:
    """Return a quantity as a number; 0 for what is none."""
    try:
        return _parse(given)
    except ValueError:
        return Decimal(0)


def _shun_nodes(spec: Object, failed: Sequence[Attempt]) -> None:
    """Prefer nodes on which no attempt failed; where there are no others, these will do.

    Each has a term of its own: an expression about a field takes one value only.
    """
    shunned = _distinct(
        a.node for a in reversed(failed) if a.node and RULES[class_of(a.failure)].of_node
    )[:NODES_SHUNNED]
    if not shunned:
        return
    preferred = [
        {
            "weight": 100,
            "preference": {
                "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": [node]}]
            },
        }
        for node in shunned
    ]
    affinity = spec.get("affinity") or {}
    of_nodes = affinity.get("nodeAffinity") or {}
    kind = "preferredDuringSchedulingIgnoredDuringExecution"
    of_nodes = {**of_nodes, kind: [*(of_nodes.get(kind) or []), *preferred]}
    spec["affinity"] = {**affinity, "nodeAffinity": of_nodes}


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
