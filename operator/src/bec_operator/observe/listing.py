"""Full looks at a kind of object, page by page."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from bec_operator.act.ground.api_server import ApiServer

PAGE = "50"
"""Objects at once: what a page of whole pods takes in memory is not given back."""


async def pages(
    api: ApiServer, path: str, query: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
    """Yield all objects under `path`, some at a time, and the version that the list is of."""
    ask = {"limit": PAGE, **(query or {})}
    while True:
        page = await api.request("GET", path, query=ask)
        yield page["items"], int(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue")
        if not token:
            return
        ask["continue"] = token
