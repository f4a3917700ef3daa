"""What a success marker says was made."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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
