"""Where jobs write: the worker's own for any volume, and those that it depends on."""

from datetime import datetime
from typing import NamedTuple

from bec_ops.environment import Surroundings
from bec_ops.errors import MisconfiguredError
from bec_ops.location import OutputTemplate, TemplateError
from bec_ops.task import Task
from bec_ops.volume import Volume


class VolumeOutput(NamedTuple):
    """Where a job writes for one volume; markers from before `redo_at` do not count there."""

    bucket: str
    prefix: str
    redo_at: datetime | None


def output_of(job_id: str, volume: Volume) -> VolumeOutput:
    """Return where a job's output for a volume is.

    Raises MisconfiguredError for a job that nobody has told the worker of, and for a volume that
    has no place there.
    """
    task, surroundings = Task.from_environment(), Surroundings.from_environment()
    if job_id == task.job_id:
        if volume == task.volume:
            return VolumeOutput(task.bucket, task.prefix, task.redo_at)
        if not surroundings.output_template:
            raise MisconfiguredError(
                f"where {job_id!r} writes for {volume} is not known: BEC_OUTPUT_TEMPLATE is not "
                f"set, and {task.output_uri} is for {task.volume} alone"
            )
        bucket, _, template = surroundings.output_template.removeprefix("s3://").partition("/")
        redo_at = task.redo_at
    elif job_id in surroundings.dependencies:
        other = surroundings.dependencies[job_id]
        bucket, template, redo_at = other.bucket, other.prefix, other.redo_at
    else:
        listed = ", ".join(map(repr, sorted(surroundings.dependencies))) or "none"
        raise MisconfiguredError(
            f"where the job {job_id!r} writes is not known: this worker's job is {task.job_id!r}, "
            f"and the jobs in its BEC_DEPENDENCIES are: {listed}"
        )
    try:
        prefix = OutputTemplate.parse(template).prefix(job_id, volume)
    except TemplateError as error:
        raise MisconfiguredError(str(error)) from None
    return VolumeOutput(bucket, prefix, redo_at)
