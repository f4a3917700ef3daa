"""What a request has with it: a token, and a body that is one of a call."""

import asyncio
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.routes import Route
from bec_ops.contract.protocol import Request

BODY_BYTES = 128 * 1024
BODY_SECONDS = 30.0


def token_of(request: web.Request) -> str:
    """Return the token of a request; raises CallRefusedError if it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise CallRefusedError(
            "Unauthenticated", "send the pod's projected token as `Authorization: Bearer …`"
        )
    return token.strip()


async def body_of(route: Route, request: web.Request) -> Request:
    """Return the body of a call; raises CallRefusedError if it is none."""
    sent = await sent_with(request)
    try:
        return route.request.model_validate_json(sent)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        wrong = "; ".join(_sentence(detail) for detail in details)
        raise CallRefusedError("Invalid", f"{route.name}: {wrong}") from None


async def sent_with(request: web.Request) -> bytes:
    """Return the bytes of a body; raises CallRefusedError if they are too many, or too slow."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise CallRefusedError(
            "Invalid", f"the body did not come within {BODY_SECONDS:.0f} s; send it at once"
        ) from None
    except (ConnectionError, web.RequestPayloadError) as error:
        raise CallRefusedError("Invalid", "the body broke off") from error
    except web.HTTPRequestEntityTooLarge:
        raise CallRefusedError(
            "Invalid", f"the body has more than {BODY_BYTES} bytes; send less, and UTF-8 as it is"
        ) from None


def _sentence(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])
