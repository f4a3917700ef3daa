"""Workers from elsewhere: how one comes in over TLS, and what it may call."""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3

from bec_operator.act.ground.api_server import core
from bec_operator.act.kube.enrolled import ENROLMENT, OUTSIDE_LABEL
from bec_ops.contract.protocol import PREFIX
from tests.cluster.pki import Authority
from tests.support.callers import Answer
from tests.support.kube import Body, Kube

_SECONDS = 70.0


def certificate(folder: Path) -> Path:
    """Make a certificate for this machine as a Secret is mounted; return the CA's file."""
    authority = Authority(folder)
    authority.issue("tls", "gateway", (), "127.0.0.1", "localhost")
    return authority.certificate


def enrolment(kube: Kube, home: str, name: str, **terms: str) -> str:
    """Make an enrolment in the operator's namespace, and return its token."""
    token = f"token-{uuid4().hex}"
    meta = {"name": name, "namespace": home, "labels": {OUTSIDE_LABEL: ENROLMENT}}
    secret: Body = {"metadata": meta, "stringData": {"token": token, **terms}}
    kube.create(core(home, "secrets"), {"apiVersion": "v1", "kind": "Secret", **secret})
    return token


class Outsider:
    """One process of a worker from elsewhere, with one seat."""

    def __init__(self, url: str, ca: Path, name: str = "desk", seat: str = "") -> None:
        self.url = url
        self.name = name
        self.secret = uuid4().hex * 2
        self.worker_id = ""
        self.process = uuid4().hex
        self.seat = seat
        self.session = "none"
        self.about: Body = {"task_uid": "none", "attempt": 1}
        self._http = urllib3.PoolManager(retries=False, ca_certs=str(ca))

    def send(self, call: str, body: Body, **headers: str) -> Answer:
        """Make a call, with its id and secret unless `headers` say otherwise."""
        given = base64.b64encode(f"{self.worker_id}:{self.secret}".encode()).decode()
        response = self._http.request(
            "POST",
            f"{self.url}{PREFIX}/{call}",
            body=json.dumps(body).encode(),
            headers={"Authorization": f"Basic {given}", **headers},
            timeout=_SECONDS,
        )
        return Answer(response.status, json.loads(response.data))

    def enrol(self, token: str) -> Answer:
        """Come in."""
        answer = self.send("enrol", {"token": token, "secret": self.secret, "name": self.name})
        self.worker_id = answer.body.get("worker_id", self.worker_id)
        return answer

    def register(self) -> Answer:
        """Register, and keep the session."""
        answer = self.send("register", {"process": self.process, "seat": self.seat})
        self.session = answer.body.get("session", self.session)
        return answer

    def next(self, wait: float = 20.0, **fields: Any) -> Answer:
        """Ask for a task, and keep which it is."""
        answer = self.send("next", {"session": self.session, "wait": wait, **fields})
        if task := answer.body.get("task"):
            self.about = {"task_uid": task["task_uid"], "attempt": task["attempt"]}
        return answer

    def report(self, call: str, **fields: Any) -> Answer:
        """Make a call about the attempt."""
        return self.send(call, {"session": self.session, **self.about, **fields})
