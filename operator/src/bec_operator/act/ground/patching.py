"""Changes an object that may be gone by then, or whose name another one may have."""

from collections.abc import Callable

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, ApiServer, Body


async def patch_if_there(
    api: ApiServer,
    path: str,
    patch: Body,
    sub: str = "",
    take_in: Callable[[Body], None] = lambda _: None,
) -> Body | None:
    """Merge a patch into the object whose UID it names, or into `sub` of it.

    Returns the object; None if it is gone. Raises ApiError, also where the API server gave up
    between others' writes: then the object is taken in as it is now.
    """
    try:
        changed = f"{path}/{sub}" if sub else path
        return await api.request("PATCH", changed, patch, content_type=MERGE_PATCH)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
        # 409 is what the API server says of another UID, too: only a look tells the two apart.
        found = await _look(api, path, patch["metadata"]["uid"]) if error.code == 409 else None
        if found is None:
            return None
        take_in(found)
        raise


async def _look(api: ApiServer, path: str, uid: str) -> Body | None:
    """Return this very object as it is now; None if it is gone."""
    try:
        found = await api.request("GET", path)
    except ApiError as error:
        if error.code != 404:
            raise
        return None
    return found if found["metadata"]["uid"] == uid else None
