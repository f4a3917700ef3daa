"""A worker as the worker API sees it: it sends JSON, and remembers its session."""

import json
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import urllib3

from bec_ops.contract.protocol import PREFIX
from tests.support.kube import Body, Kube
from tests.support.pods import PlayedPod
from tests.support.tokens import pod_token

_SECONDS = 70.0  # more than the longest wait of `next`


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Body

    @property
    def refused(self) -> tuple[int, str]:
        """The status, and the word of the refusal; the word is empty if it is none."""
        return self.status, self.body.get("error", "")


class CallingWorker:
    """One process in a pod, calling the operator at `url` with `token`.

    `about` is the task and the attempt that its reports name.
    """

    def __init__(self, url: str, token: str, about: Body | None = None) -> None:
        self.url = url
        self.token = token
        self.about = about or {"task_uid": "none", "attempt": 1}
        self.process = uuid4().hex
        self.session = "none"
        self._http = urllib3.PoolManager(retries=False)

    @classmethod
    def of(cls, pod: PlayedPod, kube: Kube, url: str) -> Self:
        """Return the process in a pod that is played, with the token that it would find there."""
        found = kube.get(pod.path)
        owner = found["metadata"]["ownerReferences"][0]["uid"]
        about = {"task_uid": owner, "attempt": pod.task.attempt}
        return cls(url, pod_token(kube, found), about)

    def send(self, call: str, body: bytes, **headers: str) -> Answer:
        """Send whatever bytes as the body of a call; headers of one's own replace the usual."""
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        response = self._http.request(
            "POST", f"{self.url}{PREFIX}/{call}", body=body, headers=sent, timeout=_SECONDS
        )
        return Answer(response.status, json.loads(response.data))

    def call(self, call: str, **fields: Any) -> Answer:
        """Make a call within the session."""
        return self.send(call, json.dumps({"session": self.session, **fields}).encode())

    def report(self, call: str, **fields: Any) -> Answer:
        """Make a call about the attempt."""
        return self.call(call, **{**self.about, **fields})

    def register(self) -> Answer:
        """Register, and keep the session."""
        answer = self.send("register", json.dumps({"process": self.process}).encode())
        self.session = answer.body.get("session", self.session)
        return answer
