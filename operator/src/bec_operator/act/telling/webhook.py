"""Notifications by webhook: CloudEvents as JSON, signed as Standard Webhooks has it."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.faults import log_fault
from bec_operator.act.telling.cloud_events import CONTENT_TYPE, TYPE_PREFIX, cloud_event
from bec_operator.decide.sight.notices import Notice
from bec_operator.metrics import NOTIFICATIONS

log = logging.getLogger(__name__)

_AT_ONCE = 1000  # notices that wait, at most
_ANSWER_WITHIN = 10.0  # seconds
_DRAIN_SECONDS = 5.0
_LONGEST_PAUSE = 60.0

Lost = Callable[[Notice, str], Awaitable[None]]


class _RefusedError(Exception):
    """The receiver will not take it, however often it is sent."""


class _UnansweredError(Exception):
    """It did not get there, or was not taken just now; `wait` is what the receiver asks for."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Webhook:
    """Delivers notices to one URL, one after the other, in their order.

    What could not be delivered for `patience` seconds is given up: `lost` is told why.
    `first_pause` is how long it waits before the second try; each pause is twice the last one.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr,
        clock: Clock,
        lost: Lost,
        *,
        first_pause: float = 1.0,
        patience: float = 600.0,
    ) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._lost = lost
        self._first_pause = first_pause
        self._patience = patience
        self._queue: asyncio.Queue[tuple[float, Notice]] = asyncio.Queue(_AT_ONCE)

    @property
    def receiver(self) -> str:
        """Where it goes, without what may be secret in the URL."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def notify(self, notice: Notice) -> None:
        """Take a notice for delivery."""
        if not self._queue.full():
            self._queue.put_nowait((self._clock.now(), notice))
        else:
            NOTIFICATIONS.labels(notice.kind, "lost").inc()
            log.error("%s: %d notifications wait already", _sentence(notice), _AT_ONCE)

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                taken, notice = await self._queue.get()
                try:
                    await self._deliver(session, notice, taken)
                except Exception as error:  # noqa: BLE001 - the other notices go on
                    log_fault(log, error, f"the notification {_sentence(notice)}")
                finally:
                    self._queue.task_done()

    async def stop(self) -> None:
        """Deliver what is left, within a few seconds."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._queue.join()
        except TimeoutError:
            log.warning("stopped with notifications that %s has not got", self.receiver)

    async def _deliver(self, session: aiohttp.ClientSession, notice: Notice, taken: float) -> None:
        """Send until it is taken, refused, or too old."""
        body = json.dumps(cloud_event(notice), ensure_ascii=False).encode()
        pause = self._first_pause
        while True:
            try:
                await self._send(session, notice.id, body)
            except _RefusedError as error:
                await self._give_up(notice, str(error))
                return
            except _UnansweredError as error:
                wait = max(pause * random.uniform(0.8, 1.2), error.wait)  # noqa: S311
                if self._clock.now() + wait - taken > self._patience:
                    await self._give_up(notice, f"{error}, for {self._patience:.0f} s")
                    return
                NOTIFICATIONS.labels(notice.kind, "retried").inc()
                log.warning("%s: %s, again in %.0f s", _sentence(notice), error, wait)
                await asyncio.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                NOTIFICATIONS.labels(notice.kind, "delivered").inc()
                log.info("%s: %s has it", _sentence(notice), self.receiver)
                return

    async def _give_up(self, notice: Notice, why: str) -> None:
        NOTIFICATIONS.labels(notice.kind, "lost").inc()
        told = f"{TYPE_PREFIX}{notice.kind} did not get to {self.receiver}: {why}"
        log.error("%s is lost: %s", _sentence(notice), why)
        await self._lost(notice, told)

    async def _send(self, session: aiohttp.ClientSession, message_id: str, body: bytes) -> None:
        """Send once; raises if it was not taken."""
        timestamp = int(time.time())  # the receiver compares it with its own clock
        headers = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._key, message_id, timestamp, body),
        }
        try:
            async with session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status, wait = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # What it says may have the whole URL in it.
            raise _UnansweredError(f"no answer ({type(error).__name__})") from error
        if status == 429 or status >= 500:
            seconds = min(float(wait), _LONGEST_PAUSE) if wait.isdecimal() else 0.0
            raise _UnansweredError(f"answered with {status}", seconds)
        if not 200 <= status < 300:
            raise _RefusedError(f"answered with {status}")


def _sentence(notice: Notice) -> str:
    job = notice.job
    return f"notification {notice.kind} of {job.namespace}/{job.name} ({notice.id})"


def sign(key: SecretStr, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message; the key is base64, after `whsec_`."""
    secret = base64.b64decode(key.get_secret_value().removeprefix("whsec_"))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
