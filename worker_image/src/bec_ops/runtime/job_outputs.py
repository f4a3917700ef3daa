"""Where jobs write: the worker's own for any volume, and those that it depends on."""

from datetime import datetime
from typing import NamedTuple

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.location import OutputTemplate, TemplateError
from bec_ops.contract.task import Task
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import JobOutput, Surroundings


class VolumeOutput(NamedTuple):
    """Where a job writes for one volume; markers from before `redo_at` do not count there."""

    bucket: str
    prefix: str
    redo_at: datetime | None

    @property
    def uri(self) -> str:
        """Both in one, ending in ``/``."""
        return f"s3://{self.bucket}/{self.prefix}"


def output_of(job_id: str, volume: Volume, task: Task) -> VolumeOutput:
    """Return where a job's output for a volume is, as the environment tells it.

    `task` is the one at hand. Raises MisconfiguredError for a job that nobody has told the worker
    of, and for a volume that has no place there.
    """
    surroundings = Surroundings.from_environment()
    if job_id != task.job_id:
        return output_of_dependency(job_id, volume, task, surroundings)
    if volume == task.volume:
        return VolumeOutput(task.bucket, task.prefix, task.redo_at)
    if not surroundings.output_template:
        raise MisconfiguredError(
            f"where {job_id!r} writes for {volume} is not known: BEC_OUTPUT_TEMPLATE is not "
            f"set, and {task.output_uri} is for {task.volume} alone"
        )
    bucket, _, template = surroundings.output_template.removeprefix("s3://").partition("/")
    return _place(JobOutput(bucket=bucket, prefix=template, redo_at=task.redo_at), job_id, volume)


def output_of_dependency(
    job_id: str, volume: Volume, task: Task, surroundings: Surroundings
) -> VolumeOutput:
    """Return where a job that the task's job depends on writes for a volume; raises alike."""
    known = surroundings.dependencies
    if job_id not in known:
        listed = ", ".join(map(repr, sorted(known))) or "none"
        raise MisconfiguredError(
            f"where the job {job_id!r} writes is not known: this worker's job is {task.job_id!r}, "
            f"and the jobs in its BEC_DEPENDENCIES are: {listed}; name it under spec.dependsOn"
        )
    return _place(known[job_id], job_id, volume)


def _place(output: JobOutput, job_id: str, volume: Volume) -> VolumeOutput:
    try:
        prefix = OutputTemplate.parse(output.prefix).prefix(job_id, volume)
    except TemplateError as error:
        raise MisconfiguredError(str(error)) from None
    return VolumeOutput(output.bucket, prefix, output.redo_at)
