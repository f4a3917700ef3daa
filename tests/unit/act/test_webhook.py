"""Notifications by webhook, against a real HTTP server."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import REGISTRY
from pydantic import SecretStr

from bec_operator.act.ground.clock import Clock
from bec_operator.act.telling.webhook import Webhook
from bec_operator.api.job import Condition, Counts, JobPhase, JobStatus
from bec_operator.decide.sight.notices import Notice, idle, notices
from tests.unit.worker_api.scene import JOB

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
DOCS = Path(__file__).resolve().parents[3] / "docs"


def _notice(reason: str = "CompletedWithFailures") -> Notice:
    said = Condition.model_validate(
        {
            "type": "Complete",
            "status": "True",
            "reason": reason,
            "message": "1 of 2 volumes failed: Terminal 1",
            "lastTransitionTime": "2026-11-25T10:00:00Z",
        }
    )
    counts = Counts(total=2, succeeded=1, failed=1)
    status = JobStatus(phase=JobPhase.COMPLETE, counts=counts, conditions=[said])
    return next(notices(replace(JOB, status=status)))


class Receiver:
    """Takes down what comes; answers with what it is given, the last answer again and again."""

    def __init__(self, *answers: int | web.Response) -> None:
        self.answers = list(answers) or [204]
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        answer = self.answers[min(len(self.got), len(self.answers)) - 1]
        return web.Response(status=answer) if isinstance(answer, int) else answer

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


class Sender:
    """A webhook, and what it has given up."""

    def __init__(self, url: str, **limits: float) -> None:
        self.lost: list[tuple[Notice, str]] = []
        limits = {"first_pause": 0.01, "patience": 5.0, **limits}
        self.webhook = Webhook(url, SecretStr(KEY), Clock(), self._note, **limits)

    async def _note(self, notice: Notice, why: str) -> None:
        self.lost.append((notice, why))

    async def deliver(self, *taken: Notice) -> None:
        """Deliver what it is given, to the end."""
        for notice in taken:
            self.webhook.notify(notice)
        running = asyncio.ensure_future(self.webhook.run())
        await self.webhook.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@asynccontextmanager
async def receiving(
    *answers: int | web.Response, port: int | None = None
) -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver(*answers)
    app = web.Application()
    app.router.add_post("/hook/{secret}", receiver.take)
    async with TestServer(app, port=port) as server:
        yield receiver, str(server.make_url("/hook/s3cr3t"))


def _count(outcome: str) -> float:
    labels = {"type": "completed", "outcome": outcome}
    return REGISTRY.get_sample_value("bec_notifications_total", labels) or 0.0


def receiver_of_the_docs() -> Any:
    """Return the function that the docs give to receivers."""
    page = (DOCS / "notifications.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    return names["read_notification"]


async def test_a_notice_arrives_as_a_signed_cloud_event() -> None:
    notice = _notice()
    async with receiving() as (receiver, url):
        delivered = _count("delivered")
        await Sender(url).deliver(notice)

    ((headers, body),) = receiver.got
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["webhook-id"] == notice.id
    read = receiver_of_the_docs()
    assert (
        read(headers, body, KEY)
        == json.loads(body)
        == {
            "specversion": "1.0",
            "id": notice.id,
            "source": "/apis/bec.bdrc.io/v1alpha1/namespaces/texts/jobs/ocr",
            "type": "org.bdrc.bec.job.completed",
            "subject": "texts/ocr",
            "time": "2026-11-25T10:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "namespace": "texts",
                "name": "ocr",
                "uid": "uid-job",
                "jobId": "ocr",
                "phase": "Complete",
                "reason": "CompletedWithFailures",
                "message": "1 of 2 volumes failed: Terminal 1",
                "counts": Counts(total=2, succeeded=1, failed=1).wire(),
                "report": "s3://bucket/artefacts/ocr/_job/report.csv",
            },
        }
    )
    assert _count("delivered") == delivered + 1


async def test_what_was_tampered_with_is_found_out() -> None:
    async with receiving() as (receiver, url):
        await Sender(url).deliver(_notice())
    ((headers, body),) = receiver.got
    read = receiver_of_the_docs()
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
    unsigned = {k: v for k, v in headers.items() if k != "webhook-signature"}
    for wrong in (
        (headers, body.replace(b"Terminal 1", b"Terminal 0"), KEY),
        ({**headers, "webhook-id": "another"}, body, KEY),
        (headers, body, other),
        (old, body, KEY),
        (unsigned, body, KEY),
    ):
        with pytest.raises(ValueError, match=r"signature|old"):
            read(*wrong)


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_it_is_sent_again_until_it_is_taken(status: int) -> None:
    async with receiving(status, status, 200) as (receiver, url):
        sender = Sender(url)
        await sender.deliver(_notice())
    assert receiver.ids == [_notice().id] * 3
    assert len({body for _, body in receiver.got}) == 1
    assert not sender.lost


async def test_connections_that_break(unused_tcp_port: int) -> None:
    broken, enough = 0, asyncio.Event()

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal broken
        writer.close()
        broken += 1
        if broken == 2:
            enough.set()

    server = await asyncio.start_server(hang_up, "127.0.0.1", unused_tcp_port)
    sender = Sender(f"http://127.0.0.1:{unused_tcp_port}/hook/s3cr3t")
    delivery = asyncio.ensure_future(sender.deliver(_notice()))
    await enough.wait()
    server.close()
    await server.wait_closed()
    async with receiving(port=unused_tcp_port) as (receiver, _):
        await delivery
    assert receiver.ids == [_notice().id]
    assert not sender.lost


async def test_what_the_receiver_asks_for_is_waited() -> None:
    busy = web.Response(status=429, headers={"Retry-After": "1"})
    async with receiving(busy, 204) as (receiver, url):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await Sender(url).deliver(_notice())
        assert loop.time() - begun >= 1
    assert len(receiver.got) == 2


@pytest.mark.parametrize("status", [302, 400, 401, 410])
async def test_a_refusal_is_final_and_told(status: int, caplog: pytest.LogCaptureFixture) -> None:
    answer = web.Response(status=status, headers={"Location": "/hook/elsewhere"})
    async with receiving(answer) as (receiver, url):
        sender = Sender(url)
        lost = _count("lost")
        await sender.deliver(_notice())
    assert len(receiver.got) == 1
    ((notice, why),) = sender.lost
    assert notice == _notice()
    assert why == (
        f"org.bdrc.bec.job.completed did not get to {sender.webhook.receiver}: "
        f"answered with {status}"
    )
    assert _count("lost") == lost + 1
    assert "is lost" in caplog.text


async def test_it_is_given_up_in_the_end_and_secrets_stay_secret(
    unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(f"http://me:pass@127.0.0.1:{unused_tcp_port}/hook/s3cr3t", patience=0.2)
    await sender.deliver(_notice())
    ((_, why),) = sender.lost
    assert "no answer" in why
    assert f"http://127.0.0.1:{unused_tcp_port}:" in why
    assert "again in" in caplog.text
    for secret in ("s3cr3t", "pass", KEY.removeprefix("whsec_")):
        assert secret not in caplog.text + why + repr(vars(sender.webhook)["_key"])


async def test_they_arrive_in_their_order_whatever_happens_to_the_first() -> None:
    taken = [_notice("First"), _notice("Second"), _notice("Third")]
    async with receiving(500, 500, 204) as (receiver, url):
        await Sender(url).deliver(*taken)
    first, second, third = (notice.id for notice in taken)
    assert receiver.ids == [first, first, first, second, third]


async def test_one_that_is_lost_does_not_hold_up_the_next() -> None:
    async with receiving(400, 204) as (receiver, url):
        sender = Sender(url)
        await sender.deliver(_notice("First"), _notice("Second"))
    assert receiver.ids == [_notice("First").id, _notice("Second").id]
    assert [notice.reason for notice, _ in sender.lost] == ["First"]


async def test_stopping_takes_a_few_seconds_at_most(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bec_operator.act.telling.webhook._DRAIN_SECONDS", 0.1)
    sender = Sender(f"http://127.0.0.1:{unused_tcp_port}/", patience=600)
    async with asyncio.timeout(5):
        await sender.deliver(_notice())
    assert not sender.lost
    assert "stopped with notifications that" in caplog.text


async def test_more_than_can_wait_is_lost_loudly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bec_operator.act.telling.webhook._AT_ONCE", 2)
    lost = _count("lost")
    async with receiving() as (receiver, url):
        await Sender(url).deliver(*(_notice(reason) for reason in ("A", "B", "C")))
    assert len(receiver.got) == 2
    assert _count("lost") == lost + 1
    assert "2 notifications wait already" in caplog.text


def test_an_idle_job_has_one_id_while_nothing_moves() -> None:
    first, again = (idle(JOB, "12 volumes wait", 7, moment) for moment in ("10:00", "11:00"))
    assert first.id == again.id
    assert idle(JOB, "11 volumes wait", 8, "11:00").id != first.id
