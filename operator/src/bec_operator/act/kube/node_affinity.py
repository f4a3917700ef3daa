"""Where a pod may go: conditions on nodes, beside those that its template has."""

from collections.abc import Sequence
from typing import Any, Literal

from bec_operator.api.sites import Sites

Object = dict[str, Any]
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_SITE_WEIGHT = 50  # less than to shun a node that has failed the volume

Kind = Literal["matchFields", "matchExpressions"]


def prefer(spec: Object, preferences: Sequence[Object], weight: int) -> None:
    """Have a pod go rather to nodes that meet these, each by itself."""
    terms = [{"weight": weight, "preference": preference} for preference in preferences]
    of_nodes = _of_nodes(spec)
    _set(spec, {**of_nodes, PREFERRED: [*(of_nodes.get(PREFERRED) or []), *terms]})


def require(spec: Object, kind: Kind, conditions: Sequence[Object]) -> None:
    """Have a pod go to no node but those that meet all conditions.

    What the template asks for holds as well: a pod goes where one of its terms is met.
    """
    of_nodes = _of_nodes(spec)
    given = (of_nodes.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    terms = [
        {**term, kind: [*(term.get(kind) or []), *conditions]}
        for term in (filter(None, given) if given else [{}])  # an empty one is met by none
    ]
    _set(spec, {**of_nodes, REQUIRED: {"nodeSelectorTerms": terms or given}})


def go_to_site(spec: Object, sites: Sites | None, name: str) -> None:
    """Have a pod go to the nodes of a site, rather or in any case; to any if it has none."""
    site = sites.find(name) if sites is not None else None
    if sites is None or site is None or site.node_selector is None:
        return
    labels = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in sorted(site.node_selector.items())
    ]
    if sites.requires:
        require(spec, "matchExpressions", labels)
    else:
        prefer(spec, [{"matchExpressions": labels}], _SITE_WEIGHT)
    if site.tolerations:
        tolerated = [toleration.wire() for toleration in site.tolerations]
        spec["tolerations"] = [*(spec.get("tolerations") or []), *tolerated]


def _of_nodes(spec: Object) -> Object:
    of_nodes: Object = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return of_nodes


def _set(spec: Object, of_nodes: Object) -> None:
    spec["affinity"] = {**(spec.get("affinity") or {}), "nodeAffinity": of_nodes}
