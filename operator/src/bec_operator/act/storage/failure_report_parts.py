"""The failure report in S3: `failures-<number>-<writer>.jsonl`."""

from collections.abc import Iterator

from bec_operator.act.storage.parts import Parts, lines_of
from bec_operator.decide.volumes.failure_report import Line
from bec_ops.contract.s3.store import Store

FAILURES = Parts("failures")


def read(store: Store, bucket: str, folder: str) -> Iterator[Line]:
    """Yield all lines that were reported, in the order in which they were written."""
    for _, key in sorted(FAILURES.keys(store, bucket, folder)):
        yield from lines_of(store, bucket, key, Line)
