"""Jobs that Flamenco Workers do, and what they read of them."""

from typing import Any

from tests.support.flamenco import FlamencoWorker, signed
from tests.support.jobs import TEMPLATE, LiveJob, job, numbered
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.waiting import until

ONLY: Body = {"allowed": True, "only": True, "marker": "OnDone"}
ECHO: Body = {"name": "echo", "settings": {"message": "{w_id} {i_id} into {output_uri}"}}


def submit(space: Space, name: str, count: int, *commands: Body, **spec: Any) -> LiveJob:
    """Submit a Job for workers whose task type is its name."""
    worker = {
        "template": TEMPLATE,
        "handler": name,
        "parameters": {"flamenco": {"commands": list(commands or (ECHO,))}},
    }
    body = job(name, space.bucket, numbered(count), worker=worker, **{"outside": ONLY, **spec})
    return space.submit(body)


def come_in(url: str, token: str, *types: str) -> FlamencoWorker:
    """Return a worker that has come in by an enrolment."""
    worker = FlamencoWorker(url, *types)
    assert worker.register(signed(token)).status == 200
    return worker


def given(worker: FlamencoWorker) -> Body:
    """Return the task that a worker gets, when it asks again and again."""

    def ask() -> Body:
        reply = worker.task()
        assert reply.status in {200, 204}, reply
        return reply.body if reply.status == 200 else {}

    return until(ask, "a task")


def logs(space: Space, job_id: str) -> list[str]:
    """Return the logs of attempts at volumes of a Job."""
    keys = [key for key in space.stored(f"artefacts/{job_id}/") if "/_logs/" in key]
    return [space.read(key).decode() for key in keys]
