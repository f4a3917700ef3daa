"""The keys of a worker's configuration: what each may be, and what it is where nobody says."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    field_validator,
)

from bec_ops.outside.rest import Rest

HIDDEN = frozenset({"token"})
"""The keys whose values nobody is shown."""

_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def seconds(value: object) -> object:
    """Read a span of time such as `90s`, `5m` or `1h30m`; what is no text is passed on."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if not value.strip() or found is None:
        raise ValueError("write a time such as 90s, 5m or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes + rest


def _listed(value: object) -> object:
    """Split what stands in one text, as it does in a variable."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ValueError("write an address such as https://bec.example.org") from None
    if parts.username or parts.password:
        raise ValueError("no name and password in it: bec-worker register gets what it needs")
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise ValueError("write an address such as https://bec.example.org")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError("secrets go over TLS alone: write https://…")
    return value.rstrip("/")


def _check_rest(value: str) -> str:
    Rest.parse(value)
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=100)]
Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=30 * 86400)]


class Keys(BaseModel):
    """What a worker is set up with.

    `rest` are hours in which it begins no task. `s3_check` is a place ``s3://bucket/prefix/`` that
    it must reach before it asks for one, `min_disk` and `min_memory` what must be free. It gives a
    task up `lease_margin` before the task would be another's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    url: Annotated[str, AfterValidator(_check_url)] = Field(default="", validate_default=False)
    ca: Path | None = None
    name: str = Field(default="", max_length=63, pattern=r"^[0-9A-Za-z._-]*$")
    token: str = Field(default="", max_length=256, repr=False)
    token_file: Path | None = None
    jobs: Names = ()
    handlers: Names = ()
    site: str = Field(default="", max_length=128)
    rest: Annotated[str, AfterValidator(_check_rest)] = ""
    state: Path = Path("~/.local/state/bec-worker")
    scratch: Path | None = None
    min_disk: ByteSize = ByteSize(0)
    min_memory: ByteSize = ByteSize(0)
    s3_check: str = Field(default="", pattern=r"^(s3://[^/]+(/.*)?)?$")
    lease_margin: Duration = 20.0

    @field_validator("ca", "token_file", "state", "scratch", mode="after")
    @classmethod
    def _find_home(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    def shown(self) -> dict[str, Any]:
        """Return each key and its value as people may see it."""
        values = self.model_dump(mode="json")
        hidden = {key: "(hidden)" for key in HIDDEN if values[key]}
        return values | hidden
