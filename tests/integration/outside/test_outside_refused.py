"""Who may not come in from elsewhere, and what is no call: each is told so, and harms nobody."""

import os
import re
import socket
import ssl
import subprocess
import sys
from base64 import b64decode
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from bec_operator.act.ground.api_server import core
from bec_operator.act.kube.enrolled import OUTSIDE_LABEL
from bec_operator.worker_api.incoming import BODY_BYTES
from bec_operator.worker_api.tls_listening import MOST_OF_ADDRESS
from tests.integration.outside.conftest import Gate
from tests.support.jobs import job, numbered
from tests.support.outsiders import Outsider, certificate
from tests.support.space import Space
from tests.support.waiting import until

ONLY = {"allowed": True, "only": True, "marker": "OnDone"}
UNAUTHENTICATED = (401, "Unauthenticated")


def stranger(gate: Gate, name: str = "stranger") -> Outsider:
    return Outsider(gate.url, gate.ca, name)


def test_a_wrong_token(gate: Gate) -> None:
    assert stranger(gate).enrol("nobody-has-ever-made-this-token").refused == UNAUTHENTICATED


def test_an_enrolment_that_is_over(space: Space, gate: Gate) -> None:
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert stranger(gate).enrol(gate.token(space, expires=past)).refused == UNAUTHENTICATED


def test_an_enrolment_for_one_worker(space: Space, gate: Gate) -> None:
    token = gate.token(space, uses="1")
    first = stranger(gate, "first")
    came = first.enrol(token)
    assert came.status == 200
    assert first.enrol(token) == came, "asked again by the same one, it is no other worker"
    refused = stranger(gate, "second").enrol(token)
    assert refused.refused == (403, "Forbidden")
    assert "the token was for 1 workers" in refused.body["message"]


def test_an_enrolment_with_something_wrong_lets_nobody_in(space: Space, gate: Gate) -> None:
    assert stranger(gate).enrol(gate.token(space, uses="none")).refused == UNAUTHENTICATED


def test_a_worker_that_is_revoked(space: Space, gate: Gate) -> None:
    worker = gate.worker(gate.token(space))
    path = core(gate.home, "secrets")
    (name,) = [
        item["metadata"]["name"]
        for item in gate.kube.items(path, labelSelector=f"{OUTSIDE_LABEL}=worker")
        if item["metadata"]["name"].removeprefix("bec-outside-") in worker.worker_id
    ]
    gate.kube.delete(f"{path}/{name}")
    until(lambda: worker.next(wait=0).refused == UNAUTHENTICATED, "it is not known any more", 15)


def test_an_enrolment_that_is_taken_away(space: Space, gate: Gate) -> None:
    token = gate.token(space)
    worker = gate.worker(token)
    for item in gate.kube.items(
        core(gate.home, "secrets"), labelSelector=f"{OUTSIDE_LABEL}=enrolment"
    ):
        gate.kube.delete(core(gate.home, "secrets", item["metadata"]["name"]))
    until(lambda: worker.next(wait=0).refused == UNAUTHENTICATED, "it is not known any more", 15)
    assert worker.enrol(token).refused == UNAUTHENTICATED


def test_a_wrong_secret(space: Space, gate: Gate) -> None:
    worker = gate.worker(gate.token(space))
    worker.secret = uuid4().hex * 2
    assert worker.next(wait=0).refused == UNAUTHENTICATED
    assert worker.send("next", {}, Authorization="Basic ???").refused == UNAUTHENTICATED
    assert worker.send("next", {}, Authorization="Bearer x").refused == UNAUTHENTICATED


def test_jobs_of_others_are_as_if_there_were_none(space: Space, gate: Gate) -> None:
    space.submit(job("named", space.bucket, numbered(1), outside=ONLY))
    space.submit(job("other", space.bucket, numbered(1, "W2"), outside=ONLY))
    worker = gate.worker(gate.token(space, jobs="named"))
    refused = worker.next(jobs=["other"], wait=0)
    assert refused.refused == (403, "Forbidden")
    none = worker.next(jobs=["none"], wait=0)
    assert none.body["message"].replace("none", "other") == refused.body["message"]
    assert worker.next().body["job"].endswith("/named")
    assert worker.report("done").status == 200
    assert worker.next(wait=2).body["task"] is None


def test_a_job_that_gives_nothing(space: Space, gate: Gate) -> None:
    space.submit(job("inside", space.bucket, numbered(1)))
    worker = gate.worker(gate.token(space))

    def refused() -> str:
        return str(worker.next(jobs=["inside"], wait=0).body.get("message", ""))

    until(lambda: "spec.outside.allowed" in refused(), "it says what to set", 10)


def test_an_enrolment_that_is_not_for_a_job_any_more(space: Space, gate: Gate) -> None:
    space.submit(job("taken", space.bucket, numbered(1), outside=ONLY))
    token = gate.token(space)
    worker = gate.worker(token)
    assert worker.next().body["task"]
    for item in gate.kube.items(
        core(gate.home, "secrets"), labelSelector=f"{OUTSIDE_LABEL}=enrolment"
    ):
        if b64decode(item["data"]["token"]).decode() == token:
            changed = {"stringData": {"jobs": "others"}}
            gate.kube.patch(core(gate.home, "secrets", item["metadata"]["name"]), changed)
    until(lambda: worker.report("heartbeat").refused == (410, "Gone"), "it is not its own", 15)
    assert worker.send("mine", {}).body == {"held": []}


def test_a_site_that_is_not_its_own(space: Space, gate: Gate) -> None:
    worker = gate.worker(gate.token(space, sites="cern"))
    assert worker.next(wait=0, site="desk").refused == (403, "Forbidden")
    assert worker.next(wait=0, site="cern").status == 200


def test_somebody_elses_task(space: Space, gate: Gate) -> None:
    space.submit(job("mine", space.bucket, numbered(1), outside=ONLY))
    token = gate.token(space)
    owner, thief = gate.worker(token, "owner"), gate.worker(token, "thief")
    assert owner.next().body["task"]
    thief.about = owner.about
    assert thief.report("done").refused == (410, "Gone")
    thief.session = owner.session
    assert thief.report("done").refused == (409, "UnknownSession")
    assert not [key for key in space.stored() if key.endswith("success.json")]
    assert owner.report("heartbeat").status == 200


def test_what_is_no_call(space: Space, gate: Gate) -> None:
    worker = gate.worker(gate.token(space))
    assert worker.send("next", {"session": worker.session, "wait": -1}).refused == (400, "Invalid")
    assert worker.send("nothing", {}).refused == (404, "Invalid")
    large = worker.send("next", {"session": "x" * BODY_BYTES})
    assert large.refused == (400, "Invalid")
    many = worker.next(jobs=["x"] * 101)
    assert many.refused == (400, "Invalid")
    short = stranger(gate)
    short.secret = "short"  # noqa: S105 - none that anybody has
    assert short.enrol("x").refused == (400, "Invalid")


def test_who_tries_one_secret_after_the_other_has_to_wait(space: Space, gate: Gate) -> None:
    def tried() -> int:
        return stranger(gate).enrol("nobody-has-ever-made-this-token").status

    until(lambda: tried() == 429, "it has to wait", 30)
    said = stranger(gate).enrol("nobody-has-ever-made-this-token")
    assert said.refused == (429, "TooMany")
    assert gate.worker(gate.token(space)).next(wait=0).status == 200, "others there may go on"


def test_plain_text_is_not_spoken(gate: Gate) -> None:
    http = urllib3.PoolManager(retries=False)
    with pytest.raises(urllib3.exceptions.HTTPError):
        http.request("POST", gate.url.replace("https", "http") + "/v1/next", body=b"{}", timeout=5)


def test_who_never_shakes_hands_is_bounded_and_not_waited_for(space: Space, gate: Gate) -> None:
    host, port = gate.url.removeprefix("https://").split(":")

    def closed() -> int:
        found = re.findall(
            r'bec_worker_connections_closed_total{reason="address"} (\d+)', gate.operator.metrics()
        )
        return int(found[0]) if found else 0

    before = closed()
    with ExitStack() as held:
        for _ in range(MOST_OF_ADDRESS + 10):
            held.enter_context(socket.create_connection((host, int(port))))
        until(lambda: closed() >= before + 10, "those that are too many are closed", 10)
    assert gate.worker(gate.token(space)).next(wait=0).status == 200


def test_a_renewed_certificate_is_taken_in(gate: Gate, home: Path) -> None:
    host, port = gate.url.removeprefix("https://").split(":")

    def seen() -> str:
        return ssl.get_server_certificate((host, int(port)))

    before = seen()
    kept = {name: (home / name).read_bytes() for name in ("tls.crt", "tls.key", "ca.crt")}
    certificate(home)
    until(lambda: seen() != before, "the new certificate is shown", 60)
    for name, body in kept.items():
        (home / name).write_bytes(body)
    until(lambda: seen() == before, "the old one again", 60)


def test_without_a_certificate_all_others_are_served(space: Space, gate: Gate, home: Path) -> None:
    worker = gate.worker(gate.token(space))
    kept = (home / "tls.crt").read_bytes()
    gate.operator.stop()
    (home / "tls.crt").unlink()
    gate.operator.start()
    assert "nobody can come in over TLS" in gate.operator.text()
    (home / "tls.crt").write_bytes(kept)

    def comes_in() -> bool:
        try:
            return worker.register().status == 200
        except urllib3.exceptions.HTTPError:
            return False

    until(comes_in, "it may come in once there is a certificate", 30)


def test_the_commands(space: Space, gate: Gate, home: Path) -> None:
    program = Path(sys.executable).with_name("bec-operator")
    environment = {**os.environ, "KUBECONFIG": str(home / "operator.kubeconfig")}
    where = ("--namespace", gate.home)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments, *where],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    made = run("enrol", "desks", "--jobs-of", space.namespace, "--expires", "30d", "--uses", "2")
    token = made.strip()
    worker = Outsider(gate.url, gate.ca, "gpu")
    until(lambda: worker.enrol(token).status == 200, "it may come in", 10)
    listed = run("outsiders")
    assert f"desks: namespaces {space.namespace}, jobs *, sites any, workers 1 of 2" in listed
    assert f"  {worker.worker_id}  (Secret bec-outside-" in listed
    assert token not in listed
