"""Full looks at a kind of object, page by page."""

from collections.abc import Mapping
from typing import Any

from bec_operator.act.api_server import ApiServer

PAGE = "500"


async def list_all(
    api: ApiServer, path: str, query: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Return all objects under `path`, and the version that the list is of."""
    items: list[dict[str, Any]] = []
    ask = {"limit": PAGE, **(query or {})}
    while True:
        page = await api.request("GET", path, query=ask)
        items += page["items"]
        token = page["metadata"].get("continue")
        if not token:
            return items, int(page["metadata"]["resourceVersion"])
        ask["continue"] = token
