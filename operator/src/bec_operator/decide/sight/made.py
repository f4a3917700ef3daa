"""What a success marker says was made."""

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from bec_ops.contract.returned import as_text


class Made(BaseModel):
    """What the success marker of a volume says was made; None where it says nothing of it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    items: int | None = None  # pages, mostly
    errors: int | None = None  # items that could not be worked on
    duration_ms: float | None = None  # of the work alone
    artefacts: int | None = None
    artefact_bytes: int | None = None
    etag: str | None = None  # of what the volume was made from
    written: float | None = None  # seconds since 1970, by the worker's clock
    result: str | None = None  # what the handler has returned: a JSON object, as text

    @field_validator("result")
    @classmethod
    def _pass_over(cls, result: str | None) -> str | None:
        """Leave out what is none: whoever may write to the outbox may have written it."""
        try:
            return None if result is None else as_text(from_json(result))
        except ValueError:
            return None
