"""Writes the marker for workers that know of none, when they say that they have done a volume."""

from collections.abc import Mapping

from bec_operator.act.ground.context import Context
from bec_operator.act.storage.expected import check_expected
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import redo_time
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.marker import MARKER_NAME, InvalidMarker
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.task import Task


async def write_marker(
    ctx: Context, memory: Memory, task: Task, face: str, details: Mapping[str, object]
) -> None:
    """Write the marker of a task, unless a valid one stands; it says by which `face` it came.

    What the Job expects has to be there. Raises CallRefusedError.
    """
    redo_at, bucket = redo_time(memory.redone), task.bucket
    marker = task.marker(face=face, **details)

    def look(store: Store) -> bool:
        found = store.read_marker(bucket, task.prefix, task.job_id, task.volume, redo_at)
        if found is not None:
            found.check_result(task.result_schema)
        return found is not None

    def put(store: Store) -> None:
        marker.check_result(task.result_schema)
        store.put(bucket, task.prefix + MARKER_NAME, marker.dump(), "application/json")

    try:
        if await ctx.storage.call("marker", look):
            return
    except InvalidMarker:
        pass  # it proves nothing, and this one does
    except StoreError as error:
        raise CallRefusedError("Unavailable", str(error)) from error
    try:
        await check_expected(ctx, memory.output, task.prefix, marker, redo_at)
        await ctx.storage.call("put", put)
    except InvalidMarker as error:
        raise CallRefusedError("Invalid", f"the volume is not done: {error}") from error
    except StoreError as error:
        raise CallRefusedError("Unavailable", str(error)) from error
