"""Looks whether what a Job expects is there, where the writer of the marker does not say so."""

from datetime import datetime

from bec_operator.act.ground.context import Context
from bec_operator.api.job import Output
from bec_ops.contract.expected import look
from bec_ops.contract.marker import InvalidMarker, Marker
from bec_ops.contract.s3.places import S3Place


async def check_expected(
    ctx: Context, output: Output, prefix: str, marker: Marker, redo_at: datetime | None
) -> None:
    """Raise InvalidMarker if artefacts are missing beside a valid marker, saying which.

    One LIST, and none where the marker says that a worker of our library has found them all.
    """
    if marker.meets(output.expect):
        return
    found = await ctx.storage.call(
        "expect", lambda store: look(S3Place(store, output.bucket, prefix), output.expect, redo_at)
    )
    if found.missing:
        raise InvalidMarker(f"s3://{output.bucket}/{prefix}: {found.sentence()}")
