"""The worker API against those who should not be heard: each call is refused, or harmless."""

import gzip
import json
import socket
import time
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.protocol import LOG_BYTES
from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, hang
from tests.support.callers import CallingWorker
from tests.support.jobs import TEMPLATE, counts, job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space
from tests.support.tokens import account_token, pod_token, resigned
from tests.support.waiting import until
from tests.support.workers import Workers

HOUR = 3600


@pytest.fixture
def pair(
    space: Space, workers: Workers, operator: Operator, kube: Kube
) -> tuple[CallingWorker, CallingWorker]:
    """The workers of two volumes of a Job, both registered."""
    workers.behaviour = hang
    space.submit(job("called", space.bucket, numbered(2)))
    one, two = [CallingWorker.of(run.pod, kube, operator.worker_url) for run in workers.running(2)]
    assert one.register().status == two.register().status == 200
    return one, two


@pytest.fixture
def good(pair: tuple[CallingWorker, CallingWorker]) -> CallingWorker:
    return pair[0]


def impostor(good: CallingWorker, token: str) -> CallingWorker:
    """Return somebody who says the same with another token."""
    other = CallingWorker(good.url, token, good.about)
    other.session = good.session
    return other


def pod_of(kube: Kube, space: Space, name: str) -> Body:
    """Make a pod that no task has made."""
    return kube.get(space.make_pod(name, TEMPLATE["spec"]))


@pytest.mark.parametrize(
    "kind",
    ["forged", "swapped", "expired", "of an audience", "of no pod", "of a stranger", "of the dead"],
)
def test_tokens_that_prove_nothing(
    kind: str, good: CallingWorker, space: Space, operator: Operator, kube: Kube, cluster: Cluster
) -> None:
    key = cluster.site.home / "pki" / "service-accounts.key"
    past = {"iat": int(time.time()) - 2 * HOUR, "nbf": int(time.time()) - 2 * HOUR}
    dead = pod_of(kube, space, "dead")
    of_dead = pod_token(kube, dead)
    kube.delete(f"/api/v1/namespaces/{space.namespace}/pods/dead", grace=0)
    header, _, signature = good.token.split(".")
    tokens = {
        "forged": (401, resigned(good.token, None)),
        "swapped": (401, ".".join([header, of_dead.split(".")[1], signature])),
        "expired": (401, resigned(good.token, key, **past, exp=int(time.time()) - HOUR)),
        "of an audience": (
            401,
            account_token(kube, space.namespace, "https://kubernetes.default.svc.cluster.local"),
        ),
        "of no pod": (403, account_token(kube, space.namespace)),
        "of a stranger": (403, pod_token(kube, pod_of(kube, space, "stranger"))),
        "of the dead": (401, of_dead),
    }
    status, token = tokens[kind]
    assert impostor(good, resigned(good.token, key)).report("heartbeat").status == 200, "control"
    bad = impostor(good, token)

    answers = [bad.register(), bad.report("heartbeat"), bad.report("failed", failure="Terminal")]

    word = {401: "Unauthenticated", 403: "Forbidden"}[status]
    assert [answer.refused for answer in answers] == [(status, word)] * 3
    said = operator.text() + json.dumps([answer.body for answer in answers])
    assert not any(part in said for part in token.split(".")[1:]), "a token is a secret"
    assert good.report("heartbeat").body["directive"] == "continue"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer \u00e9", "Bearer x"]
)
def test_headers_that_are_none(header: str, good: CallingWorker) -> None:
    answer = good.send("register", b"{}", Authorization=header)
    assert answer.refused == (401, "Unauthenticated")


def test_a_pod_that_claims_a_task(
    good: CallingWorker, space: Space, workers: Workers, kube: Kube
) -> None:
    """Whoever may make pods can give them labels and owners, but not the name that is taken."""
    real = kube.get(workers.running(2)[0].pod.path)
    meta, spec = real["metadata"], {**real["spec"], "nodeName": None}
    path = space.make_pod("claims", spec, meta["labels"])
    pod = kube.patch(path, {"metadata": {"ownerReferences": meta["ownerReferences"]}})
    assert impostor(good, pod_token(kube, pod)).register().refused == (410, "Gone")


def test_another_pods_task(
    pair: tuple[CallingWorker, CallingWorker], space: Space, operator: Operator
) -> None:
    """data_dispatcher#18, #19: nobody can report on what is not its own."""
    one, two = pair
    calls: dict[str, Body] = {
        "heartbeat": {},
        "done": {},
        "failed": {"failure": "Terminal"},
        "log": {"text": "not yours"},
    }
    for call, fields in calls.items():
        assert one.report(call, **fields, **two.about).refused == (410, "Gone")
        stolen = one.report(call, **fields, session=two.session)
        assert stolen.refused == (409, "StaleSession")
    assert two.report("heartbeat").body["directive"] == "continue"
    assert not space.stored("artefacts/called/W1")
    assert 'outcome="StaleSession"' in operator.metrics()


def test_a_process_that_another_has_taken_over_from(good: CallingWorker) -> None:
    later = impostor(good, good.token)
    assert later.register().status == 200
    for answer in (good.report("heartbeat"), good.call("next"), good.register()):
        assert answer.refused == (409, "StaleSession")
    assert later.report("heartbeat").status == 200


def test_a_stale_attempt(space: Space, workers: Workers, operator: Operator, kube: Kube) -> None:
    workers.behaviour = hang
    live = space.submit(job("stale", space.bucket, numbered(1), retry={"limit": 2}))
    (first,) = workers.running(1)
    old = CallingWorker.of(first.pod, kube, operator.worker_url)
    old.register()
    workers.play(first, fail(1))
    second = workers.nth(2, "Running")
    new = CallingWorker.of(second.pod, kube, operator.worker_url)
    new.register()

    for worker in (old, impostor(new, old.token)):
        for call in ("heartbeat", "done", "failed"):
            fields = {"failure": "Terminal"} if call == "failed" else {}
            assert worker.report(call, **fields).refused == (410, "Gone")
    assert new.report("failed", failure="Terminal", **old.about).refused == (410, "Gone")
    assert new.report("heartbeat").body["directive"] == "continue"
    workers.release()
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}


BODIES: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("register", b"", "JSON"),
    "no JSON": ("register", b"not json", "JSON"),
    "no object": ("register", b"[]", "object"),
    "no UTF-8": ("register", b'{"process": "\xff"}', "JSON"),
    "no process": ("register", b"{}", "process: Field required"),
    "no hex": ("register", b'{"process": "me"}', "process: String should match"),
    "a huge number": (
        "heartbeat",
        b'{"session": "s", "task_uid": "u", "attempt": 1, "activity": ' + b"9" * 400 + b"}",
        "activity: Input should be less",
    ),
    "nested": ("register", b'{"process":' * 9000, "recursion"),
    "too patient": ("next", b'{"session": "s", "wait": 61}', "wait: Input should be less"),
    "no attempt": ("done", b'{"session": "s", "task_uid": "u", "attempt": 0}', "attempt: "),
    "no class": (
        "failed",
        b'{"session": "s", "task_uid": "u", "attempt": 1, "failure": "Disrupted"}',
        "failure: Input should be 'Retryable'",
    ),
    "half a character": (
        "log",
        b'{"session": "s", "task_uid": "u", "attempt": 1, "text": "\\ud800"}',
        "JSON",
    ),
    "too long": (
        "log",
        json.dumps(
            {"session": "s", "task_uid": "u", "attempt": 1, "text": "x" * (LOG_BYTES + 1)}
        ).encode(),
        "text: String should have at most 65536",
    ),
    "too big": ("log", b" " * (128 * 1024 + 1), "more than 131072 bytes"),
    "packed": ("register", gzip.compress(b"{}"), "JSON"),
}


def test_bodies_that_are_none(good: CallingWorker) -> None:
    for name, (call, body, says) in BODIES.items():
        headers = {"Content-Encoding": "gzip"} if name == "packed" else {}
        answer = good.send(call, body, **headers)
        assert answer.refused == (400, "Invalid"), name
        assert says in answer.body["message"], name
    assert good.send("nothing", b"{}").refused == (404, "Invalid")
    assert good.report("heartbeat").body["directive"] == "continue"


def test_a_body_that_breaks_off(good: CallingWorker, operator: Operator) -> None:
    """Nobody is there to be told."""
    counter = 'bec_worker_calls_total{call="register",outcome="Invalid"} '
    before = _count(operator, counter)
    with socket.create_connection(("127.0.0.1", operator.worker_port)) as connection:
        connection.sendall(_head(good, "Content-Length: 100") + b'{"process":')
    until(lambda: _count(operator, counter) > before, "the call is refused")
    operator.check_nothing_broke()


@pytest.mark.parametrize("header", ["X: \x01", "Transfer-Encoding: chunked", "Content-Length: x"])
def test_what_is_no_http_is_not_logged(
    header: str, good: CallingWorker, operator: Operator
) -> None:
    with socket.create_connection(("127.0.0.1", operator.worker_port), timeout=10) as connection:
        connection.sendall(_head(good, header) + b"no length\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.0 400")
    assert good.report("heartbeat").body["directive"] == "continue"
    assert "no length" not in operator.text()
    assert "Authorization" not in operator.text()
    operator.check_nothing_broke()


def _head(good: CallingWorker, header: str) -> bytes:
    lines = ["POST /v1/register HTTP/1.1", "Host: x", f"Authorization: Bearer {good.token}", header]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _count(operator: Operator, counter: str) -> float:
    found = [line for line in operator.metrics().splitlines() if line.startswith(counter)]
    return sum(float(line.removeprefix(counter)) for line in found)


def test_a_namespace_that_is_not_served(
    cluster: Cluster,
    kube: Kube,
    client: S3Client,
    make_operator: MakeOperator,
    tmp_path: Path,
) -> None:
    with (
        new_space(cluster, kube, client) as own,
        new_space(cluster, kube, client) as foreign,
        make_operator(
            operator_rights(cluster, tmp_path, (own.namespace,)), namespaces=own.namespace
        ) as operator,
    ):
        for space, said in ((own, "not the pod of a task"), (foreign, "does not serve")):
            token = pod_token(kube, pod_of(kube, space, "worker"))
            answer = CallingWorker(operator.worker_url, token).register()
            assert answer.refused == (403, "Forbidden")
            assert said in answer.body["message"]
