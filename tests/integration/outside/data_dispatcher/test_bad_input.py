"""What nobody should send: each has an answer, no file is lost, and none counts as done by it."""

import hmac
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest

from bec_operator.act.ground.api_server import core
from tests.integration.outside.data_dispatcher.conftest import (
    OUTSIDE,
    Face,
    MakeProject,
    Project,
    release,
    reserve,
)
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Kube
from tests.support.rights import home_of
from tests.support.space import Space
from tests.support.waiting import until


def states(face: Face, made: Project) -> list[str]:
    """Return the states of the files of a project."""
    told = face.get(f"/handles?project_id={made.number}", made.login)
    return sorted(handle["state"] for handle in told.told) if told.status == 200 else []


def hang_up(face: Face, path: str, login: str) -> None:
    """Ask, and be gone before there is an answer."""
    host = urlsplit(face.url)
    with socket.create_connection((host.hostname, host.port)) as line:
        sent = f"GET {path} HTTP/1.1\r\nHost: here\r\nX-Authentication-Token: {login}\r\n\r\n"
        line.sendall(sent.encode())


def test_wrong_names_and_tokens(face: Face, space: Space) -> None:
    name, token = face.enrol(space)
    bearer = {"Authorization": f"bearer {token}"}
    by_token = f"/auth?method=token&username={name}"
    good = face.send("POST", by_token, headers=bearer)
    assert good.status == 200
    assert jwt.decode(good.headers["X-Authentication-Token"], options={"verify_signature": False})[
        "exp"
    ]
    assert face.send("POST", f"/auth{by_token}", headers=bearer).status == 200
    refused = [
        face.log_in(name, "wrong"),
        face.log_in("nobody", token),
        face.send("POST", "/auth?method=ldap", body=b"\xff\x00"),
        face.send("POST", by_token, headers={"Authorization": "bearer none"}),
        face.get("/auth?method=digest"),
        face.get("/auth?method=x509&username=me"),
        face.get("/verify", "no.jwt.atall"),
        face.get("/projects"),
    ]
    assert [answer.status for answer in refused] == [401] * len(refused)
    assert all(token.encode() not in answer.body for answer in refused)
    assert face.send("POST", "/auth?method=other").status == 400
    large = face.send("POST", "/auth?method=ldap", body=b"a" * 200_000)
    assert large.status == 400
    assert b"more than" in large.body
    login = good.headers["X-Authentication-Token"]
    assert face.get("/verify", login).status == face.get("/auth/verify", login).status == 200


def test_who_guesses_has_to_wait(face: Face, space: Space) -> None:
    name, token = face.enrol(space)
    until(lambda: face.log_in(name, "wrong").status == 503, "too many guesses")
    assert face.log_in(name, "wrong").headers["Retry-After"]
    assert face.log_in(name, token).status == 200, "who knows his own is served all the same"


def test_logins_of_yesterday_and_of_other_faces(project: MakeProject, face: Face) -> None:
    made = project(numbered(1))
    name, token = made.enrolment

    def login(audience: str, seconds: float) -> str:
        key = hmac.digest(token.encode(), f"login {audience}".encode(), "sha256")
        claims = {"sub": name, "aud": audience, "exp": time.time() + seconds}
        return jwt.encode(claims, key, "HS256", {"kid": name})

    path = f"/next_file?project_id={made.number}&worker_id=w"
    for bad in (login("data-dispatcher", -3600), login("reefguide", 3600)):
        assert face.get("/verify", bad).status == 401
        assert face.get(path, bad).told["handle"] is None
    assert face.get("/verify", login("data-dispatcher", 3600)).status == 200
    until(lambda: states(face, made) == ["initial"], "nobody got the file")


def test_an_enrolment_that_is_taken_away(
    project: MakeProject, face: Face, kube: Kube, home: Path
) -> None:
    made = project(numbered(1))
    handle = reserve(face, made)
    kube.delete(core(home_of(home), "secrets", made.enrolment[0]))
    until(lambda: face.get("/verify", made.login).status == 401, "the login is not good any more")
    assert release(face, made, handle, failed="no", worker_id="w").status == 401
    asked = face.get(f"/next_file?project_id={made.number}&worker_id=w", made.login)
    assert (asked.status, asked.told["retry"]) == (200, True)


def test_other_jobs_are_as_if_they_were_not_there(
    project: MakeProject, face: Face, space: Space
) -> None:
    made = project(numbered(1))
    handle = reserve(face, made)
    stranger = face.login(space, jobs="other-*")
    missing, forbidden = (
        face.get(f"/project?project_id={number}", stranger) for number in (7, made.number)
    )
    assert missing.status == forbidden.status == 404
    assert missing.body.decode().replace("7", str(made.number), 1) == forbidden.body.decode()
    assert face.get("/projects?state=active", stranger).told == []
    theirs = Project(made.live, made.enrolment, stranger, made.number)
    assert release(face, theirs, handle, failed="no", worker_id="w").status == 404
    beside = Project(made.live, made.enrolment, face.login(space), made.number)
    assert release(face, beside, handle, failed="no", worker_id="w").status == 403
    assert release(face, beside, handle, failed="no").status == 403
    assert states(face, made) == ["reserved"]


def test_a_job_that_gives_nothing_to_others(face: Face, space: Space) -> None:
    space.submit(job("inside", space.bucket, numbered(1)))
    login = face.login(space)
    assert face.get("/projects", login).told == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/next_file?project_id=x&worker_id=w", 400),
        ("/next_file?project_id=1", 400),
        ("/next_file?project_id=1&worker_id=" + "w" * 300, 400),
        ("/next_file?project_id=99999999999999999999999999&worker_id=%ff%00", 404),
        ("/release?handle_id=1&failed=no", 400),
        ("/release?handle_id=1:a&failed=no", 400),
        ("/release?handle_id=%D9%A1:a:b&failed=no", 400),
        ("/release?handle_id=1:a:b&failed=perhaps", 400),
        ("/projects?attributes={", 400),
        ("/projects?attributes=[]", 400),
        ("/handles?project_id=1&state=odd", 400),
        ("/nothing", 404),
        ("/file?namespace=a&name=b", 403),
    ],
)
def test_what_is_no_call(face: Face, space: Space, path: str, status: int) -> None:
    answer = face.get(path, face.login(space))
    assert answer.status == status
    assert 10 < len(answer.body) < 1000
    assert answer.kind == "text/plain; charset=utf-8"


def test_files_that_are_none(project: MakeProject, face: Face) -> None:
    made = project(numbered(1))
    reserve(face, made, "%ff%00")
    for file in ("W1:I0", "W1:I0@v2", "W1:I0@v1@", "~571:I0@v1", "W1:~FF", "W1:~zz", ":", "W1:"):
        path = f"/release?handle_id={made.number}:{file}&failed=no&worker_id=w"
        assert face.get(path, made.login).status == 404, file
    assert states(face, made) == ["reserved"]


def test_a_worker_that_hangs_up_before_it_is_told(
    project: MakeProject, face: Face, space: Space
) -> None:
    made = project(numbered(1))

    def was_given_back() -> bool:
        hang_up(face, f"/next_file?project_id={made.number}&worker_id=w", made.login)
        attempts = [a for task in space.tasks() for a in task.get("status", {}).get("attempts", [])]
        return any(attempt.get("failure") == "Interrupted" for attempt in attempts)

    until(was_given_back, "a file that its worker did not hear of is given back")
    handle = reserve(face, made, "another")
    assert release(face, made, handle, failed="no", worker_id="another").status == 200
    assert counts(made.live.wait_complete())["succeeded"] == 1


def test_a_worker_may_have_several_and_each_once(project: MakeProject, face: Face) -> None:
    made = project(numbered(4), outside={**OUTSIDE, "max": 3})
    handles = [reserve(face, made) for _ in range(3)]
    assert len({handle["name"] for handle in handles}) == 3
    asked = face.get(f"/next_file?project_id={made.number}&worker_id=w", made.login)
    assert asked.told == {"handle": None, "reason": "retry", "retry": True}


def test_the_operator_starts_again_while_a_worker_works(
    project: MakeProject, face: Face, space: Space
) -> None:
    made = project(numbered(2))
    handles = [reserve(face, made, "a%20b") for _ in range(2)]
    face.operator.kill()
    face.operator.start()
    until(lambda: states(face, made) == ["reserved"] * 2, "the project is loaded")
    told = face.get(f"/project?project_id={made.number}&with_files=yes", made.login).told
    assert {handle["worker_id"] for handle in told["file_handles"]} == {"a b"}
    assert release(face, made, handles[0], failed="no", worker_id="a%20b").status == 200
    assert release(face, made, handles[1], failed="no").status == 200
    assert counts(made.live.wait_complete())["succeeded"] == 2
    marker = json.loads(space.read("artefacts/pages/W1-I0-v1/success.json"))
    assert marker["worker"] == "a b"
