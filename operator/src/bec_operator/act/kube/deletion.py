"""Deletes many objects with one request: one for each would be half of all requests."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from bec_operator.act.ground.api_server import METADATA_ONLY, ApiError, ApiServer, Body

T = TypeVar("T")
log = logging.getLogger(__name__)


async def delete_together(
    api: ApiServer, path: str, label: str, values: Iterable[str], only: str = ""
) -> Mapping[str, Body]:
    """Delete the objects of which a label has one of some values; `only` is a further selector.

    Return those that were there, by UID, as they were before. Where the API server says no, for one
    of them or for all, there are none: they are to be tried one by one.
    """
    selector = f"{label} in ({','.join(sorted(set(values)))})" + (only and f",{only}")
    options: Body = {"propagationPolicy": "Background"}
    try:
        found = await api.request(
            "DELETE", path, options, accept=METADATA_ONLY, query={"labelSelector": selector}
        )
    except ApiError as error:
        if error.code >= 500 or error.code == 429:
            raise
        log.warning("%s: not all can be deleted with one request: %s", path, error)
        return {}
    return {item["metadata"]["uid"]: item for item in found["items"] or ()}


async def delete_each(things: Iterable[T], delete: Callable[[T], Awaitable[None]]) -> None:
    """Delete things one by one; one that cannot be deleted holds up no other, but is told of."""
    refused: ApiError | None = None
    for thing in things:
        try:
            await delete(thing)
        except ApiError as error:
            refused = refused or error
    if refused is not None:
        raise refused
