"""What ReefGuide's workers do not forgive, and who must not get what."""

import base64
import hmac
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import uuid4

import jwt

from tests.integration.outside.reefguide.conftest import (
    ELSEWHERE,
    Face,
    ReefWorker,
    kind,
    markers,
    seconds_since,
)
from tests.support.callers import Answer
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.waiting import until


def _submit(space: Space, name: str, volumes: int, **outside: Any) -> Any:
    spec = job(name, space.bucket, numbered(volumes), worker=kind("TEST"),
               outside={**ELSEWHERE, **outside}, parallelism=100)  # fmt: skip
    return space.submit(spec)


def _forged(worker: ReefWorker, **claims: object) -> str:
    key = hmac.digest(worker.secret.encode(), b"login reefguide", "sha256")
    said = {"sub": worker.name, "aud": "reefguide", **claims}
    return jwt.encode(said, key, "HS256", {"kid": worker.name})


def test_both_find_in_the_token_when_it_ends(space: Space, face: Face) -> None:
    worker = face.worker(space)
    body = worker.token.split(".")[1]
    expiry = json.loads(base64.urlsafe_b64decode(body + "=="))["exp"]
    assert isinstance(expiry, int)
    assert 0 < expiry - time.time() <= 600


def test_a_login_goes_on_and_ends(space: Space, face: Face) -> None:
    worker = face.worker(space)
    answer = worker.send("POST", "/auth/token", {"refreshToken": worker.refresh}, token="")
    assert answer.status == 200
    assert worker.send("GET", "/jobs/poll", token=answer.body["token"]).status == 200
    assert worker.send("GET", "/jobs/poll", token=worker.refresh).status == 401
    sent = {"refreshToken": worker.token}
    assert worker.send("POST", "/auth/token", sent, token="").status == 401


def test_a_clock_may_be_an_hour_behind_and_no_more(space: Space, face: Face) -> None:
    """A 401 leads to no new login: only its own clock does."""
    worker, now = face.worker(space), time.time()
    late = _forged(worker, exp=now - 3500)
    assert worker.send("GET", "/jobs/poll", token=late).status == 200
    for bad in (
        _forged(worker, exp=now - 3700),
        _forged(worker),
        _forged(worker, exp=now + 100, aud="flamenco"),
        _forged(replace(worker, secret=uuid4().hex), exp=now + 100),
        "opaque",
    ):
        answer = worker.send("GET", "/jobs/poll", token=bad)
        assert answer.status == 401
        assert set(answer.body) == {"status", "message"}
        assert answer.body["status"] == 401
    assert worker.http.request("GET", f"{face.url}/api/jobs/poll").status == 401


def test_a_wrong_password_and_no_password(space: Space, face: Face) -> None:
    worker = face.worker(space)
    for sent, status in (
        ({"email": worker.name, "password": "guessed"}, 401),
        ({"email": "nobody", "password": worker.secret}, 401),
        ({"email": worker.name}, 400),
        (b"\xff", 400),
    ):
        answer = worker.send("POST", "/auth/login", sent, token="")
        assert answer.status == status
        assert worker.secret not in json.dumps(answer.body)
    assert worker.log_in().status == 200


def test_of_many_that_want_one_job_one_gets_it(space: Space, face: Face) -> None:
    live = _submit(space, "race", 1)
    first = face.worker(space)
    (shown,) = first.wait_jobs()
    workers = [replace(first, http=type(first.http)(retries=False)) for _ in range(8)]
    start = Barrier(len(workers))

    def claim(worker: ReefWorker) -> Answer:
        start.wait()
        return worker.assign(shown)

    began = time.monotonic()
    with ThreadPoolExecutor(len(workers)) as pool:
        answers = list(pool.map(claim, workers))
    won = [answer for answer in answers if answer.status == 200]
    lost = [answer for answer in answers if answer.status in {400, 404}]
    assert (len(won), len(lost)) == (1, 7)
    assert all(set(answer.body) == {"status", "message"} for answer in lost)
    assert seconds_since(began) < 10
    assert first.poll() == []
    assert first.result(won[0].body["assignment"]["id"]).status == 200
    assert counts(live.wait_complete())["succeeded"] == 1


def test_nothing_is_shown_that_would_not_be_assigned(space: Space, face: Face) -> None:
    """Else a worker in Julia asks for it without a pause."""
    live = _submit(space, "few", 9, max=2)
    worker = face.worker(space)
    taken = [worker.take()[1] for _ in range(2)]
    assert worker.poll() == []
    assert worker.result(taken[0]["id"], "SUCCEEDED", {}).status == 200
    worker.wait_jobs()
    live.patch(suspend=True)
    until(lambda: worker.poll() == [], "nothing is shown of what is suspended")


def test_at_most_ten_and_not_all_are_shown_the_same(space: Space, face: Face) -> None:
    _submit(space, "many", 60)
    worker = face.worker(space)
    worker.wait_jobs(10)
    lists = [tuple(sorted(shown["id"] for shown in worker.poll())) for _ in range(5)]
    assert {len(shown) for shown in lists} == {10}
    assert len(set(lists)) > 1


def test_no_type_starves_behind_another(space: Space, face: Face) -> None:
    """Julia's filter comes after the first ten."""
    _submit(space, "most", 30)
    spec = job("one", space.bucket, numbered(1), outside=ELSEWHERE,
               worker=kind("SUITABILITY_ASSESSMENT"))  # fmt: skip
    space.submit(spec)
    worker = face.worker(space)
    worker.wait_jobs(1, "SUITABILITY_ASSESSMENT")
    worker.wait_jobs(10)
    assert {shown["type"] for shown in worker.poll()} == {"TEST", "SUITABILITY_ASSESSMENT"}
    assert {shown["type"] for shown in worker.poll("TEST")} == {"TEST"}
    assert worker.poll("ADRIA_MODEL_RUN") == []


def test_a_list_of_long_input_is_short(space: Space, face: Face) -> None:
    spec = job("wide", space.bucket, numbered(10, "W" * 100), outside=ELSEWHERE,
               worker=kind("TEST", text="{w_id}" * 10_000))  # fmt: skip
    space.submit(spec)
    worker = face.worker(space)
    (shown,) = worker.wait_jobs()
    assert shown["input_payload"]["text"] == "W" * 1_000_000


def test_no_job_is_shown_whose_marker_they_would_have_to_write(space: Space, face: Face) -> None:
    _submit(space, "own", 1, marker="Worker")
    spec = job("any", space.bucket, numbered(1), outside=ELSEWHERE)  # which is of no type
    space.submit(spec)
    _submit(space, "theirs", 1)
    worker = face.worker(space)
    worker.wait_jobs()
    assert [shown["type"] for shown in worker.poll()] == ["TEST"]


def test_a_poll_never_hangs(space: Space, face: Face) -> None:
    worker = face.worker(space)
    began = time.monotonic()
    assert worker.poll() == []
    assert seconds_since(began) < 2


def test_nobody_sees_or_ends_what_is_anothers(space: Space, face: Face) -> None:
    _submit(space, "secret", 2)
    worker, other = face.worker(space), face.worker(space, jobs="others-*")
    shown, assignment = worker.take()
    assert other.poll() == []
    rest = worker.wait_jobs()[0]
    assert other.assign(rest).status == other.assign({"id": 1}).status == 404
    assert other.assign(rest).body == other.assign({"id": 1}).body
    assert other.assign({"id": 2**60}).status == 400
    same = face.worker(space)  # an enrolment for the same Jobs
    assert same.result(assignment["id"], "FAILED").status == 404
    assert same.result(assignment["id"], "SUCCEEDED", {}).status == 404
    assert same.assign(shown).status == 400
    assert not markers(space)
    assert worker.result(assignment["id"], "SUCCEEDED", {}).status == 200


def test_what_comes_twice_counts_once(space: Space, face: Face) -> None:
    live = _submit(space, "twice", 1)
    worker = face.worker(space)
    _, assignment = worker.take()
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(worker.result, assignment["id"], "SUCCEEDED", {}) for _ in range(4)]
        assert [answer.result().status for answer in sent] == [200] * 4
    assert worker.result(assignment["id"], "FAILED").status == 400
    assert counts(live.wait_complete())["succeeded"] == 1
    assert worker.result(assignment["id"], "SUCCEEDED", {}).status == 200
    assert worker.result(assignment["id"] + 2**24, "SUCCEEDED", {}).status == 404


def test_who_hangs_up_has_nothing(space: Space, face: Face) -> None:
    """It never hears of its assignment, and has no heartbeat: it would be another's in hours."""
    _submit(space, "hung", 1)
    worker = face.worker(space)
    (shown,) = worker.wait_jobs()
    _claim_and_hang_up(face, worker, shown)
    until(lambda: worker.poll() == [] or _is_interrupted(space), "it is given to who hung up")
    until(lambda: _is_interrupted(space), "it is taken back")
    _, assignment = worker.take()
    assert worker.result(assignment["id"], "SUCCEEDED", {}).status == 200


def _claim_and_hang_up(face: Face, worker: ReefWorker, shown: Body) -> None:
    body = json.dumps({"jobId": shown["id"]})
    head = (
        f"POST /api/jobs/assign HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {worker.token}\r\nContent-Type: application/json\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", face.port)) as line:
        line.sendall(f"{head}{body}".encode())


def _is_interrupted(space: Space) -> bool:
    attempts = [
        attempt for task in space.tasks() for attempt in task.get("status", {}).get("attempts", [])
    ]
    return any(attempt.get("failure") == "Interrupted" for attempt in attempts)
