"""What a Job has workers run for a volume: `worker.parameters.grpc`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bec_operator.gateway.faces.templating import fill
from bec_ops.contract.faults import explain
from bec_ops.contract.task import Task

PARAMETER = "grpc"


class Command(BaseModel):
    """A command and its one argument."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str = Field(min_length=1, max_length=4096)
    path: str = Field(default="{w_id}/{i_id}", max_length=4096)


class CommandError(ValueError):
    """The Job says no command; the message says what to write instead."""


def has_command(parameters: Mapping[str, Any]) -> bool:
    """Whether a Job is for workers of this protocol at all."""
    return PARAMETER in parameters


def command_of(task: Task) -> Command:
    """Return what is to be run for a task; raises CommandError.

    Ids fill the argument only: what is run is the Job's word, never a volume's.
    """
    try:
        said = Command.model_validate(task.parameters.get(PARAMETER))
    except ValidationError as error:
        raise CommandError(
            f"worker.parameters.grpc: {explain(error)}; write "
            "{command: /opt/tools/ocr.sh, path: '{w_id}/{i_id}'}"
        ) from None
    path = fill(said.path.replace("{output_uri}", task.output_uri), task.volume)
    return said.model_copy(update={"path": path})
