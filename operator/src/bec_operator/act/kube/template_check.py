"""Whether the template of a job makes a pod that the API server takes."""

import logging
from itertools import islice

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import kind_and_place, log_fault
from bec_operator.act.kube.pod_spec import AttemptOf, pool_revision, task_pod
from bec_operator.api.names import task_name
from bec_operator.api.template import faults_of_template
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.refusals import TEMPLATE_REJECTED
from bec_operator.decide.sight.seen import Fact
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume

log = logging.getLogger(__name__)

_SOME = Volume("W1", "I1", "v1")
_FAULTS = 3  # of a template that are told


async def check_template(ctx: Context, memory: Memory) -> None:
    """Let the API server judge the pod of the first volume. A full quota is not its fault.

    Where none has come yet, it is that of some other.
    """
    assert memory.job.spec is not None
    now, basis = ctx.clock.now(), memory.template_basis
    wrong = "; ".join(islice(faults_of_template(memory.job.spec.worker.template), _FAULTS))
    if wrong:
        _reject(memory, wrong, now)
        return
    volume = memory.books.volumes[0] if memory.books.volumes else _SOME
    try:
        pod = task_pod(memory, _attempt(memory, volume), ctx.settings)
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
    memory.learn_template(basis, fact, revision)


def _attempt(memory: Memory, volume: Volume) -> AttemptOf:
    output, job = memory.output, memory.job
    folder = OutputTemplate.parse(output.prefix).known_prefix(job.job_id, volume)
    uri = f"s3://{output.bucket}/{folder}"
    return AttemptOf(volume, uri, task_name(job.name, volume), job.uid, 0)


def _reject(memory: Memory, why: str, now: float) -> None:
    memory.learn_template(memory.template_basis, Fact(now, TEMPLATE_REJECTED, why))


def template_fact(error: ApiError, now: float) -> Fact:
    """Return what the refusal of a pod says about the template."""
    if error.over_quota:
        return Fact(now)
    return Fact(now, TEMPLATE_REJECTED, f"spec.worker.template makes no valid pod: {error.message}")
