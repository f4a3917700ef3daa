"""Whether the bucket of a job is there, and may be listed and read."""

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_ops.contract.location import OutputTemplate, TemplateError
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.store import Store, StoreError, TooLargeError


async def check_storage(ctx: Context, memory: Memory) -> None:
    """See whether the bucket is there, may be listed, and may be read."""
    output, now = memory.output, ctx.clock.now()
    try:
        folder = OutputTemplate.parse(output.prefix).common_folder(memory.job.job_id)
    except TemplateError as error:
        memory.learn("storage", Fact(now, "InvalidOutput", f"spec.output.prefix: {error}"))
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
        memory.learn("storage", await ctx.storage.call("check", look))
    except StoreError as error:
        memory.learn("storage", storage_fact(error, now))
