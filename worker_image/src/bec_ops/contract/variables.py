"""Settings of a process, read from its environment."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.faults import explain

M = TypeVar("M", bound=BaseModel)


def read_variables(model: type[M], prefix: str, environ: Mapping[str, str], fault: str) -> M:
    """Read the variables of that prefix that are set and not empty, named by the model's aliases.

    Raises MisconfiguredError, which says `fault`, and then what is wrong.
    """
    found = {name: text for name, text in environ.items() if name.startswith(prefix) and text}
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise MisconfiguredError(f"{fault}: {explain(error)}") from None
