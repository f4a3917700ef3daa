"""What a Flamenco Worker sends, and how it is read: lenient, and within bounds."""

import asyncio
import json
import re
from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.incoming import BODY_BYTES, BODY_SECONDS

UPDATE_BYTES = 4 * 1024 * 1024
"""Of an update: it has up to two thousand lines of a log, and the status in the same body."""
_READ_BYTES = 64 * 1024 * 1024  # of one that is too long: its sender reads no answer before the end
# What a large one may be: strings, and little between them. A list of a million lists would keep
# the operator from all others while it is read.
_MOSTLY_TEXT = re.compile(
    rb'(?:[^"]{0,200}+"[^"\\]*+(?:\\.[^"\\]*+)*+"){0,2000}+[^"]{0,200}+', re.DOTALL
)

TaskType = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^\S+$")]
M = TypeVar("M", bound=BaseModel)


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SignOn(_Document):
    """What a worker says of itself when it starts."""

    supported_task_types: tuple[TaskType, ...] = Field(default=(), max_length=100)
    nickname: str = Field(default="", max_length=256)


class Registration(SignOn):
    """The same, of one that comes in. It makes up its secret."""

    secret: str = Field(
        pattern=r"^[0-9A-Za-z_-]{43,128}$", description="Random, made by the worker, kept by it"
    )


class Update(_Document):
    """What a worker tells of a task; without a status nothing is said of that.

    Of the percentages, that of the task is always 0 in workers as they are shipped.
    """

    activity: str = ""
    current_command_idx: int = Field(default=0, ge=0, le=10_000)
    task_progress_percentage: float = Field(default=0, ge=0, le=100)
    command_progress_percentage: float = Field(default=0, ge=0, le=100)
    task_status: Literal["", "active", "completed", "failed", "canceled"] = ""
    log: str = ""

    @field_validator("*", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """Replace what no UTF-8 can hold: a program may print it."""
        return value.encode(errors="replace").decode() if isinstance(value, str) else value


async def document_of(request: web.Request, kind: type[M], limit: int = BODY_BYTES) -> M:
    """Return the body of a request; raises CallRefusedError: Invalid, or Unavailable if none came.

    A body that is too long is read nevertheless, and thrown away: its sender would not see the
    answer, and send it for ever.
    """
    sent, size = await _sent_with(request, limit)
    if size > limit:
        raise CallRefusedError("Invalid", f"the body has more than {limit} bytes: send less")
    if size > BODY_BYTES and not _MOSTLY_TEXT.fullmatch(sent):
        raise CallRefusedError(
            "Invalid", f"the body has more than {BODY_BYTES} bytes: send a log, and little else"
        )
    try:
        return kind.model_validate(json.loads(sent or b"{}"))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        wrong = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details)
        raise CallRefusedError("Invalid", wrong) from None
    except (ValueError, RecursionError):
        raise CallRefusedError("Invalid", "the body is no JSON: send an object") from None


async def throw_away(request: web.Request) -> None:
    """Read a body and keep nothing of it, so that its sender sees the answer."""
    await _sent_with(request, 0)


def is_large(request: web.Request) -> bool:
    """Whether a body may be larger than those of all other calls."""
    return request.content_length is None or request.content_length > BODY_BYTES


async def _sent_with(request: web.Request, limit: int) -> tuple[bytearray, int]:
    """Return a body up to a limit, and how long it is."""
    sent, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                size += len(part)
                if size <= limit:
                    sent += part
                elif size > _READ_BYTES:
                    break
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise CallRefusedError("Unavailable", "the body did not come; send it again") from None
    return sent, size
