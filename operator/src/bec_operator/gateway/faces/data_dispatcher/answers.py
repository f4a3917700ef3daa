"""How answers look to clients of Data Dispatcher: they know `text/json`, and 200 alone is good."""

import asyncio
import json

from aiohttp import web

from bec_operator.worker_api.callers.refusals import CallRefusedError

_NO_STORE = {"Cache-Control": "no-store"}  # `release` is a GET, and what changes is asked by others
_STATUS = {429: 503, 500: 503, 409: 404, 410: 404}
"""What the client knows for ours: it asks again after 503 alone, for five minutes."""


class NotNowError(CallRefusedError):
    """`next_file` is refused. A client would take any status but 200 and 503 for the end.

    So it is told that there is no file now.
    """

    def __init__(self, refused: CallRefusedError) -> None:
        super().__init__(refused.word, refused.message, 200, refused.retry_after)


def as_text_json(document: object) -> web.Response:
    """Return an answer."""
    return _text_json(json.dumps(document, ensure_ascii=False))


async def as_long_text_json(document: object) -> web.Response:
    """Return an answer of some megabytes; others have their turn while it is written."""
    return _text_json(await asyncio.to_thread(json.dumps, document, ensure_ascii=False))


def _text_json(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/json", headers=_NO_STORE)


def as_text(text: str, status: int = 200) -> web.Response:
    """Return a sentence."""
    return web.Response(text=text, status=status, headers=_NO_STORE)


def refusal(refused: CallRefusedError) -> web.Response:
    """Return how a refusal is told."""
    if isinstance(refused, NotNowError):
        return as_text_json({"handle": None, "reason": refused.message, "retry": True})
    return as_text(refused.message, _STATUS.get(refused.status, refused.status))
