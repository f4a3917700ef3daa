"""What ReefGuide's workers send, and what they are answered; keys that we do not know are free."""

import json
from datetime import UTC, datetime
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from bec_operator.api.template import MAX_DEPTH, is_too_deep
from bec_operator.gateway.faces.reefguide.numbers import LARGEST
from bec_operator.gateway.holding import Holding
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.routes import Route
from bec_ops.contract.protocol import Accepted, Request

RESULT_BYTES = 64 * 1024
"""What a result may have, as JSON: it goes into the marker."""
_UNKNOWN_TO_THEM = {410: 404, 409: 400}  # statuses that the protocol has not


class Credentials(Request):
    """A login: the name of an enrolment, or `name@anything`, and its token."""

    email: str = Field(max_length=512)
    password: str = Field(max_length=4096)

    @property
    def name(self) -> str:
        """The name of the enrolment."""
        return self.email.partition("@")[0]


class Refresh(Request):
    """A login that is to go on."""

    refresh_token: str = Field(alias="refreshToken", max_length=4096)


class Claim(Request):
    """A job of the list that a worker wants; on ECS it says which task of that it is."""

    job: int = Field(alias="jobId", ge=0, le=LARGEST)
    task_arn: str = Field(alias="ecsTaskArn", default="", max_length=2048)
    cluster_arn: str = Field(alias="ecsClusterArn", default="", max_length=2048)


class Outcome(Request):
    """What became of an assignment."""

    status: Literal["SUCCEEDED", "FAILED"]
    payload: dict[str, Any] | None = Field(alias="resultPayload", default=None)


LOGIN = Route("login", Credentials, Accepted, "Log in")
REFRESH = Route("token", Refresh, Accepted, "Go on being logged in")
ASSIGN = Route("assign", Claim, Accepted, "Have a job of the list")
RESULT = Route("result", Outcome, Accepted, "Say what became of it")


def job(number: int, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return a job as the list has it."""
    return {"id": number, "type": kind, "status": "PENDING", "input_payload": payload}


def assignment(number: int, claim: Claim, holding: Holding, now: float) -> dict[str, Any]:
    """Return the answer to a worker that has got what it claimed.

    It puts a slash and the name of a file behind `storage_uri`.
    """
    made = {
        "id": number,
        "job_id": claim.job,
        "created_at": _moment(now),
        "ecs_task_arn": claim.task_arn,
        "ecs_cluster_arn": claim.cluster_arn,
        "expires_at": _moment(now + holding.lease),
        "storage_scheme": "S3",
        "storage_uri": holding.task.output_uri.removesuffix("/"),
        "heartbeat_at": None,
        "completed_at": None,
    }
    return {"assignment": made}


def refusal(refused: CallRefusedError) -> web.Response:
    """Return what is refused as ReefGuide says it."""
    status = _UNKNOWN_TO_THEM.get(refused.status, refused.status)
    return web.json_response({"status": status, "message": refused.message}, status=status)


def fault_of(payload: dict[str, Any] | None) -> str:
    """Say what is wrong with a result; nothing if it may stand in a marker."""
    if payload is not None and is_too_deep(payload):
        return f"resultPayload has more than {MAX_DEPTH} levels; write less deep"
    try:
        size = len(json.dumps(payload, allow_nan=False, ensure_ascii=False).encode())
    except ValueError:
        return "resultPayload has NaN, infinity, or half a character, which are no JSON; leave out"
    if size > RESULT_BYTES:
        return (
            f"resultPayload has {size} bytes, and {RESULT_BYTES} are allowed; write more into a "
            "file below storage_uri, and its name here"
        )
    return ""


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
