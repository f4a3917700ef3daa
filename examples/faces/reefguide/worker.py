"""A worker of ReefGuide: it logs in, polls, has a job assigned, and posts what became of it.

It knows nothing of BEC. Set API_ENDPOINT, JOB_TYPES, WORKER_USERNAME and WORKER_PASSWORD, and what
boto3 wants to know. It ends once there was nothing to do for IDLE_TIMEOUT_MS.
"""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import boto3

UNKNOWN = "Unknown - metadata lookup failure"  # what a worker says that is not on ECS


class Server:
    """The server, to whom one logs in by name and password, and again as the token gets old."""

    def __init__(self) -> None:
        self._base = os.environ["API_ENDPOINT"] + "/api"
        self._token = ""
        self._refresh = ""

    def get(self, path: str) -> Any:
        """Ask for something."""
        return self._send(path, None, self._valid_token())

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Say something."""
        return self._send(path, body, self._valid_token())

    def _valid_token(self) -> str:
        if not self._token:
            self._log_in()
        elif _expiry(self._token) - time.time() <= 60:
            try:
                self._token = self._send("/auth/token", {"refreshToken": self._refresh})["token"]
            except urllib.error.HTTPError:
                self._log_in()
        return self._token

    def _log_in(self) -> None:
        who = {"email": os.environ["WORKER_USERNAME"], "password": os.environ["WORKER_PASSWORD"]}
        answer = self._send("/auth/login", who)
        self._token, self._refresh = answer["token"], answer.get("refreshToken", "")

    def _send(self, path: str, body: dict[str, Any] | None, token: str = "") -> Any:
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, sent)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")


def _expiry(token: str) -> float:
    claims = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])


def assess(payload: dict[str, Any], storage_uri: str) -> dict[str, str]:
    """Do a job: write a file below `storage_uri`, and return where it is, seen from there."""
    name, place = "regional_assessment.tiff", urlsplit(f"{storage_uri}/regional_assessment.tiff")
    body = f"the reefs of {payload['region']}".encode()
    boto3.client("s3").put_object(Bucket=place.netloc, Key=place.path[1:], Body=body)
    return {"cog_path": name}


HANDLERS = {"REGIONAL_ASSESSMENT": assess}


def work(server: Server, job: dict[str, Any]) -> bool:
    """Have a job assigned and do it; return whether it was ours to do."""
    claim = {"jobId": job["id"], "ecsTaskArn": UNKNOWN, "ecsClusterArn": UNKNOWN}
    try:
        assignment = server.post("/jobs/assign", claim)["assignment"]
    except urllib.error.HTTPError:
        return False  # somebody else has it
    try:
        payload = HANDLERS[job["type"]](job["input_payload"], assignment["storage_uri"])
        result: dict[str, Any] = {"status": "SUCCEEDED", "resultPayload": payload}
    except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed
        print(f"job {job['id']} has failed: {error}")
        result = {"status": "FAILED", "resultPayload": None}
    server.post(f"/jobs/assignments/{assignment['id']}/result", result)
    return True


def main() -> None:
    """Work until there was nothing to do for long."""
    kinds = os.environ["JOB_TYPES"].split(",")
    interval = float(os.environ.get("POLL_INTERVAL_MS", "2000")) / 1000
    idle = float(os.environ.get("IDLE_TIMEOUT_MS", "300000")) / 1000
    server, worked = Server(), time.monotonic()
    while time.monotonic() - worked < idle:
        mine = [job for job in server.get("/jobs/poll")["jobs"] if job["type"] in kinds]
        if not mine:
            time.sleep(interval)
        elif work(server, mine[0]):
            worked = time.monotonic()


if __name__ == "__main__":
    main()
