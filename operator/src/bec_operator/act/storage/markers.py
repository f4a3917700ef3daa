"""Looks at success markers: the truth about a volume."""

from collections.abc import Callable
from datetime import datetime

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.expected import check_expected
from bec_operator.decide.memory.marker_findings import note_reading
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.made import Made
from bec_operator.decide.sight.moments import redo_time
from bec_operator.decide.sight.seen import MarkerSeen, MarkerState
from bec_operator.decide.volumes.actions import ReadMarker
from bec_ops.contract.marker import MARKER_NAME, InvalidMarker, Marker
from bec_ops.contract.returned import as_text
from bec_ops.contract.s3.store import Reason, Store, StoreError

# What may be a matter of this one key, and is no reason to stop.
_OF_ONE_KEY: dict[Reason, MarkerState] = {
    "Forbidden": MarkerState.UNKNOWN,
    "KeyUnanswered": MarkerState.UNKNOWN,
    "Archived": MarkerState.ARCHIVED,
    "KeyRefused": MarkerState.IMPOSSIBLE,
}


async def read_marker(ctx: Context, memory: Memory, action: ReadMarker) -> None:
    """Look at one marker, and note what it shows; what S3 cannot tell is unknown, never absent."""
    asked = ctx.clock.now()
    ledger = memory.ledger
    output, prefix = memory.output, memory.books.prefixes[action.index]
    trouble, redone = None, memory.redone
    redo_at = redo_time(redone)
    try:
        marker, made = await ctx.storage.call("marker", _reading(memory, action.index, redo_at))
        if marker is not None:
            await check_expected(ctx, output, prefix, marker, redo_at)
    except InvalidMarker as error:
        seen = MarkerSeen(MarkerState.INVALID, asked, str(error))
    except StoreError as error:
        state = _OF_ONE_KEY.get(error.reason)
        seen = MarkerSeen(state or MarkerState.UNKNOWN, asked, str(error))
        if state is not MarkerState.IMPOSSIBLE:
            trouble = storage_fact(error, asked)
        if state is None:
            memory.learn("storage", trouble)
    else:
        seen = _seen(marker, made, asked)
    if memory.redone != redone:  # what counts has changed meanwhile: it must be asked again
        seen, trouble = MarkerSeen(MarkerState.UNKNOWN, asked), None
    if memory.ledger is ledger:  # not loaded anew meanwhile
        note_reading(memory, action.index, seen, trouble)


def _reading(
    memory: Memory, index: int, redo_at: datetime | None
) -> Callable[[Store], tuple[Marker | None, Made | None]]:
    """Return what reads a marker, and judges what was returned, in a thread: it may be much.

    That is kept only where somebody is told of it.
    """
    volume, prefix = memory.books.volumes[index], memory.books.prefixes[index]
    bucket, job = memory.output.bucket, memory.job
    schema = job.spec.worker.result if job.spec is not None else None
    told = memory.outbox.wanted is not None

    def read(store: Store) -> tuple[Marker | None, Made | None]:
        marker = store.read_marker(bucket, prefix, job.job_id, volume, redo_at)
        if marker is None:
            return None, None
        try:
            marker.check_result(schema)
        except InvalidMarker as error:
            raise InvalidMarker(f"s3://{bucket}/{prefix}{MARKER_NAME}: {error}") from None
        return marker, _made(marker, told=told)

    return read


def _seen(marker: Marker | None, made: Made | None, asked: float) -> MarkerSeen:
    if marker is None:
        return MarkerSeen(MarkerState.ABSENT, asked)
    return MarkerSeen(
        MarkerState.VALID,
        asked,
        _contents(marker),
        items=marker.total_images or 0,
        log=marker.log or "",
        written=marker.written or 0.0,
        made=made,
    )


def _made(marker: Marker, *, told: bool) -> Made:
    seconds, took = marker.duration_seconds, marker.total_duration_ms
    return Made(
        items=marker.total_images,
        errors=marker.nb_errors,
        duration_ms=seconds * 1000 if took is None and seconds is not None else took,
        artefacts=marker.nb_artefacts,
        artefact_bytes=marker.artefact_bytes,
        etag=marker.source_etag,
        written=marker.written,
        result=as_text(marker.result) if told and marker.result is not None else None,
    )


def _contents(marker: Marker) -> str:
    """Say how much was written, if the marker does: a success without anything looks well else."""
    if marker.nb_artefacts is None:
        return ""
    if not marker.nb_artefacts:
        return "no artefact was written"
    artefacts = "1 artefact" if marker.nb_artefacts == 1 else f"{marker.nb_artefacts} artefacts"
    return f"{artefacts}, {marker.artefact_bytes or 0} bytes"
