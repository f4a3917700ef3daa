"""What earlier attempts change in the next one's pod: more memory, and rather another node."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from kubernetes.utils import quantity

from bec_operator.act.kube.node_affinity import prefer, require
from bec_operator.api.retry import OutOfMemory
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.avoided_nodes import nodes_failed_on
from bec_operator.decide.sight.failures import FailureClass, class_of

Object = dict[str, Any]
_MI = 2**20
_parse: Callable[[object], Decimal] = quantity.parse_quantity  # it has no types


def fit(spec: Object, worker: Object, failed: Sequence[Attempt], rule: OutOfMemory) -> None:
    """Change a pod's `spec`, and in it the container `worker`, by how earlier attempts failed.

    `failed` are these, in their order.
    """
    _add_memory(worker, failed, rule)
    shun_nodes(spec, nodes_failed_on(failed), [])


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


def shun_nodes(spec: Object, rather: Sequence[str], never: Sequence[str]) -> None:
    """Have a pod go to other nodes than these, `rather` or in any case.

    Each has an expression of its own: one about a field takes one value only.
    """
    if rather:
        prefer(spec, [{"matchFields": [_not(node)]} for node in rather], weight=100)
    if never:
        require(spec, "matchFields", list(map(_not, never)))


def _not(node: str) -> Object:
    return {"key": "metadata.name", "operator": "NotIn", "values": [node]}
