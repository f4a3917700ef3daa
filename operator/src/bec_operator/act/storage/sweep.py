"""Which volumes may be done already: those with an output folder."""

import logging
from collections.abc import Iterator
from itertools import islice

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.folders import Wanted
from bec_operator.decide.memory.marker_findings import note_swept
from bec_operator.decide.memory.memory import Memory
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.keys import LONGEST_PART
from bec_ops.contract.s3.store import Store, StoreError

log = logging.getLogger(__name__)

_AS_IT_IS = bytes(range(256))


async def sweep(ctx: Context, memory: Memory) -> None:
    """List which volumes have an output folder; the others need no look at a marker.

    Volumes of which all is known are left out, and those that an earlier sweep has seen. Lists are
    mostly in S3's order, so those that are done lie before the first that is not, and need not be
    listed again after a restart.
    """
    bucket, prefixes, ledger = memory.output.bucket, memory.books.prefixes, memory.ledger
    common = OutputTemplate.parse(memory.output.prefix).common_folder(memory.job.job_id)
    swept = memory.books.markers.swept
    ends = ledger.translated(_AS_IT_IS) if ledger is not None else bytes(len(prefixes))

    def wanted() -> Iterator[tuple[int, str, int]]:
        """Yield the volumes that are not settled, their folders, and how long the rest of it is."""
        for index, prefix in islice(enumerate(prefixes), swept, None):
            if not ends[index]:
                folder = prefix[: prefix.index("/", len(common)) + 1]
                yield index, folder, len(prefix) - len(common)

    def look(store: Store) -> frozenset[int]:
        first = min((folder[:-1] for _, folder, _ in wanted()), default=None)
        if first is None:
            return frozenset()
        asked = Wanted(folder for _, folder, _ in wanted())
        found = asked.among(store.list_folders(bucket, common, first))
        return frozenset(
            index
            for index, folder, size in wanted()
            # what is very long may have no place in this store: better known before it runs
            if hash(folder) in found or size > LONGEST_PART
        )

    try:
        candidates = await ctx.storage.call("list", look)
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        return
    if memory.ledger is ledger:  # not loaded anew meanwhile
        note_swept(memory, candidates, len(prefixes), ctx.clock.now())
        log.info(
            "%s/%s: %d volumes have an output folder",
            memory.job.namespace, memory.job.name, len(candidates),
        )  # fmt: skip
