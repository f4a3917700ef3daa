"""The checks before anything is launched: storage, template, and what is done already."""

import logging
from collections.abc import Iterator
from itertools import islice

from bec_operator.act.api_server import ApiError, core
from bec_operator.act.context import Context
from bec_operator.act.faults import kind_and_place, log_fault
from bec_operator.act.folders import Wanted
from bec_operator.act.pod_spec import pool_revision, task_pod
from bec_operator.api.names import task_name
from bec_operator.api.template import faults_of_template
from bec_operator.decide.memory import Memory
from bec_operator.decide.refusals import (
    MARKER_ARCHIVED,
    MARKER_UNANSWERED,
    STORAGE_FORBIDDEN,
    TEMPLATE_REJECTED,
)
from bec_operator.decide.seen import Fact
from bec_ops.location import OutputTemplate, TemplateError
from bec_ops.marker import MARKER_NAME
from bec_ops.store import Reason, Store, StoreError, TooLargeError
from bec_ops.store_keys import LONGEST_PART

log = logging.getLogger(__name__)

_FAULTS = 3  # of a template that are told
_AS_IT_IS = bytes(range(256))
_REASONS: dict[Reason, str] = {
    "Unavailable": "StorageUnavailable",
    "Forbidden": STORAGE_FORBIDDEN,
    "KeyRefused": "OutputImpossible",
    "KeyUnanswered": MARKER_UNANSWERED,
    "Archived": MARKER_ARCHIVED,
}


def storage_fact(error: StoreError, now: float) -> Fact:
    """Return what a call that S3 did not answer well says about the storage."""
    return Fact(now, _REASONS.get(error.reason, error.reason), str(error))


async def check_storage(ctx: Context, memory: Memory) -> None:
    """See whether the bucket is there, may be listed, and may be read."""
    output, now = memory.output, ctx.clock.now()
    try:
        folder = OutputTemplate.parse(output.prefix).common_folder(memory.job.job_id)
    except TemplateError as error:
        memory.facts.storage = Fact(now, "InvalidOutput", f"spec.output.prefix: {error}")
        return

    def look(store: Store) -> Fact:
        hidden = None
        try:
            store.check_bucket(output.bucket, folder)
        except StoreError as error:
            if error.reason != "Forbidden":
                raise
            hidden = error
        try:  # a probe: that it is absent, or there, is a good answer
            store.get(output.bucket, folder + MARKER_NAME, limit=0)
        except TooLargeError:
            pass
        except StoreError as error:
            if error.reason not in {"Archived", "KeyUnanswered"}:  # which others need not be
                raise
        if hidden is None:
            return Fact(now)
        return Fact(
            now,
            "NoListPermission",
            f"{hidden}: without s3:ListBucket on s3://{output.bucket} what is absent cannot be "
            "told from what is forbidden; grant it to the operator",
        )

    try:
        memory.facts.storage = await ctx.storage.call("check", look)
    except StoreError as error:
        memory.facts.storage = storage_fact(error, now)


async def check_template(ctx: Context, memory: Memory) -> None:
    """Let the API server judge the pod of the first volume. A full quota is not its fault."""
    assert memory.job.spec is not None
    now, basis = ctx.clock.now(), memory.template_basis
    wrong = "; ".join(islice(faults_of_template(memory.job.spec.worker.template), _FAULTS))
    if wrong:
        _reject(memory, wrong, now)
        return
    name = task_name(memory.job.name, memory.volumes[0])
    try:
        pod = task_pod(memory, 0, name, memory.job.uid, 0, ctx.settings)
        revision = pool_revision(memory, ctx.settings)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        log_fault(log, error, f"{memory.job.namespace}/{memory.job.name}: making its pod")
        _reject(memory, f"spec.worker.template makes no pod: {kind_and_place(error)}", now)
        return
    try:
        path = core(memory.job.namespace, "pods")
        await ctx.api.request("POST", path, pod, query={"dryRun": "All"})
    except ApiError as error:
        if not (error.final or error.over_quota):
            raise
        fact = template_fact(error, now)
    else:
        fact = Fact(now)
    if memory.template_basis == basis:
        memory.facts.template, memory.pool.revision = fact, (basis, revision)


def _reject(memory: Memory, why: str, now: float) -> None:
    memory.facts.template = Fact(now, TEMPLATE_REJECTED, why)
    memory.pool.revision = (memory.template_basis, "")


def template_fact(error: ApiError, now: float) -> Fact:
    """Return what the refusal of a pod says about the template."""
    if error.over_quota:
        return Fact(now)
    return Fact(now, TEMPLATE_REJECTED, f"spec.worker.template makes no valid pod: {error.message}")


async def sweep(ctx: Context, memory: Memory) -> None:
    """List which volumes have an output folder; the others need no look at a marker.

    Volumes of which all is known are left out, and those that an earlier sweep has seen. Lists are
    mostly in S3's order, so those that are done lie before the first that is not, and need not be
    listed again after a restart.
    """
    bucket, prefixes, ledger = memory.output.bucket, memory.prefixes, memory.ledger
    common = OutputTemplate.parse(memory.output.prefix).common_folder(memory.job.job_id)
    swept = memory.swept
    ends = ledger.translated(_AS_IT_IS) if ledger is not None else bytes(len(prefixes))

    def wanted() -> Iterator[tuple[int, str]]:
        """Yield the volumes that are not settled, and their folders."""
        for index, prefix in islice(enumerate(prefixes), swept, None):
            if not ends[index]:
                yield index, prefix[: prefix.index("/", len(common)) + 1]

    def look(store: Store) -> frozenset[int]:
        first = min((folder[:-1] for _, folder in wanted()), default=None)
        if first is None:
            return frozenset()
        asked = Wanted(folder for _, folder in wanted())
        found = asked.among(store.list_folders(bucket, common, first))
        return frozenset(
            index
            for index, folder in wanted()
            # what is very long may have no place in this store: better known before it runs
            if hash(folder) in found or len(prefixes[index]) - len(common) > LONGEST_PART
        )

    try:
        candidates = await ctx.storage.call("list", look)
    except StoreError as error:
        memory.facts.storage = storage_fact(error, ctx.clock.now())
        return
    if memory.ledger is ledger:  # not loaded anew meanwhile
        memory.note_swept(candidates, len(prefixes), ctx.clock.now())
        log.info(
            "%s/%s: %d volumes have an output folder",
            memory.job.namespace, memory.job.name, len(candidates),
        )  # fmt: skip
