"""Flamenco Workers, as they are: what they send, in which order, and what becomes of it."""

import json

from tests.integration.outside.conftest import Gate
from tests.integration.outside.flamenco.conftest import VISITORS
from tests.support.flamenco import FlamencoWorker, signed
from tests.support.flamenco_jobs import come_in, given, logs, submit
from tests.support.jobs import condition, counts
from tests.support.outsiders import enrolment
from tests.support.space import Space
from tests.support.waiting import until


def test_from_registration_to_the_end(space: Space, gate: Gate) -> None:
    live = submit(space, "render", 2)
    worker = come_in(gate.url, gate.token(space), "sleep", "render")
    for _ in range(2):
        task = given(worker)
        assert task["job"] == f"{space.namespace}/render"
        (command,) = task["commands"]
        w_id, i_id, _, output = command["settings"]["message"].split()
        assert output == f"s3://{space.bucket}/artefacts/render/{w_id}-{i_id}-v1/"
        known_as = task["_id"]
        assert worker.update(known_as, "active").status == 204
        may = worker.may_i_run(known_as)
        assert (may.status, may.body) == (200, {"may_keep_running": True})
        assert worker.send("POST", "/output-produced", {"paths": ["/a"]}).status == 204
        assert worker.update(known_as, "active", log=f"T1: {i_id}").status == 204
        assert worker.update(known_as, "completed", log=f"T2: end of {i_id}").status == 204
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 2
    assert sorted(logs(space, "render")) == [f"T1: I{n}\nT2: end of I{n}" for n in range(2)]
    marker = json.loads(space.read("artefacts/render/W1-I0-v1/success.json"))
    assert marker["face"] == "flamenco"
    assert worker.sign_off().status == 204
    assert worker.task().status == 204


def test_who_may_come_in(space: Space, gate: Gate) -> None:
    token = gate.token(space)
    refused = {
        "unsigned": "",
        "by another": signed("token-of-somebody-else-altogether-01"),
        "expired": signed(token, expires=-120.0),
        "no JWT": "a.b.c",
    }
    for what, bearer in refused.items():
        worker = FlamencoWorker(gate.url, "sleep")
        assert worker.register(bearer).status == 401, what
        assert token not in gate.operator.text()
    known = FlamencoWorker(gate.url, "sleep")
    assert known.register(signed(token)).status == 200
    assert known.register(signed(token)).body["_id"] == known.worker_id
    assert known.sign_on().status == 204
    known.secret = "0" * 64
    assert known.sign_on().status == 401
    assert known.task().status == 401
    enrolment(gate.kube, gate.home, VISITORS, namespaces=space.namespace)
    visitor = FlamencoWorker(gate.url, "sleep")
    until(lambda: visitor.register().status == 200, "who signs nothing may come in now")
    assert visitor.task().status == 204
    short = FlamencoWorker(gate.url, "sleep")
    short.secret = short.secret[:5]
    reply = short.register(signed(token))
    assert reply.status == 400
    assert "secret" in reply.text


def test_task_types_choose_the_jobs(space: Space, gate: Gate) -> None:
    submit(space, "video", 1)
    worker = come_in(gate.url, gate.token(space), "sleep", "render")
    eager = come_in(gate.url, gate.token(space), "video")
    known_as = given(eager)["_id"]
    assert eager.give_back(known_as).status == 204
    assert worker.task().status == 204  # there is something for others
    worker.types = ("sleep", "video")
    assert worker.sign_on().status == 204
    assert given(worker)["_id"] != known_as


def test_an_answer_that_was_lost(space: Space, gate: Gate) -> None:
    submit(space, "lost", 2)
    worker = come_in(gate.url, gate.token(space), "lost")

    def made() -> bool:
        worker.hang_up()
        return bool(space.tasks())

    until(made, "a task is made for it")
    task = given(worker)
    again = worker.task()
    assert again.body == task
    assert len(space.tasks()) == 1
    assert worker.update(task["_id"], "active").status == 204
    assert worker.task().status == 204  # its last word may be on its way
    assert worker.update(task["_id"], "completed").status == 204
    assert given(worker)["_id"] != task["_id"]


def test_updates_that_come_late_or_twice(space: Space, gate: Gate) -> None:
    live = submit(space, "late", 2)
    worker = come_in(gate.url, gate.token(space), "late")
    first = given(worker)["_id"]
    for _ in range(2):
        assert worker.update(first, "active", "T1: begins").status == 204
    for _ in range(3):
        assert worker.update(first, "completed", "T2: is done").status == 204
    assert worker.log(first, "T3: late").status == 204
    assert logs(space, "late") == ["T1: begins\nT2: is done\nT3: late"]
    assert worker.update(first, "active").status in {204, 409}
    second = given(worker)["_id"]
    assert worker.log(second, "T4: of the first").status == 204
    assert worker.update(second, "completed").status == 204
    assert counts(live.wait_complete())["succeeded"] == 2
    assert "T1: begins\nT2: is done" in logs(space, "late")[0]
    for known_as in (first, "none", "%2e%2e"):
        assert worker.update(known_as, "failed").status in {204, 404, 409}
    assert worker.update("none", "failed").status == 404


def test_what_is_another_s(space: Space, gate: Gate) -> None:
    submit(space, "apart", 1)
    worker, other = (
        come_in(gate.url, gate.token(space), "apart"),
        come_in(gate.url, gate.token(space), "apart"),
    )
    known_as = given(worker)["_id"]
    assert other.update(known_as, "completed").status == 404
    assert other.give_back(known_as).status == 204
    may = other.may_i_run(known_as)
    assert (may.status, may.body["may_keep_running"]) == (404, False)
    assert worker.may_i_run(known_as).body == {"may_keep_running": True}


def test_may_i_run_is_answered_in_its_keys(space: Space, gate: Gate) -> None:
    live = submit(space, "stopped", 1)
    worker = come_in(gate.url, gate.token(space), "stopped")
    known_as = given(worker)["_id"]
    stranger = FlamencoWorker(gate.url, "stopped")
    for reply, status in (
        (worker.may_i_run("none"), 404),
        (stranger.may_i_run(known_as), 401),
        (worker.send("GET", f"/may-i-run/{known_as}/more"), 404),
    ):
        assert reply.status == status
        assert reply.body.keys() <= {"may_keep_running", "reason"}
    assert worker.may_i_run(known_as).body == {"may_keep_running": True}
    live.patch(suspend=True, suspendMode="Stop")
    until(lambda: not worker.may_i_run(known_as).body["may_keep_running"], "it is to stop")
    assert worker.log(known_as, "T1: stopped").status == 204
    assert worker.give_back(known_as).status == 204
    live.patch(suspend=False)
    second = given(worker)["_id"]
    assert worker.may_i_run(second).body == {"may_keep_running": True}
    live.delete()
    until(lambda: not worker.may_i_run(second).body["may_keep_running"], "it is to stop")
    assert worker.give_back(second).status == 204


def test_failures(space: Space, gate: Gate) -> None:
    live = submit(space, "fails", 1, retry={"limit": 5})
    worker = come_in(gate.url, gate.token(space), "fails")
    tried = [given(worker)["_id"]]
    log = "T1: page 7\nT2: no image"
    assert worker.update(tried[-1], "failed", log, activity="exec failed").status == 204
    tried.append(given(worker)["_id"])
    assert worker.update(tried[-1], "canceled", activity="Task was canceled").status == 204
    tried.append(given(worker)["_id"])
    unreadable = worker.send("POST", f"/tasks/{tried[-1]}/update", raw=b'{"log": 7')
    assert unreadable.status == 409
    tried.append(given(worker)["_id"])
    assert worker.update(tried[-1], "active", "x" * 5_000_000).status == 409
    tried.append(given(worker)["_id"])
    assert worker.update(tried[-1], "active", "x" * 3_000_000).status == 204
    assert worker.update(tried[-1], "completed", "\ud800").status == 204
    assert len(set(tried)) == 5
    assert counts(live.wait_complete())["succeeded"] == 1
    (task,) = space.tasks()
    found = [(each.get("failure"), each.get("message", "")) for each in task["status"]["attempts"]]
    assert found[0] == ("Retryable", f"exec failed\n{log}")
    assert [failure for failure, _ in found[1:4]] == ["Interrupted", "Retryable", "Retryable"]


def test_a_bad_template_is_told_and_not_run(space: Space, gate: Gate) -> None:
    live = submit(space, "bad", 3, {"name": "excec", "settings": {"cmd": "true"}})
    worker = come_in(gate.url, gate.token(space), "bad")

    def is_told() -> bool:
        assert worker.task().status == 204
        return condition(live.read(), "Stalled")["reason"] == "Misconfigured"

    until(is_told, "the Job says it")
    told = condition(live.read(), "Stalled")["message"]
    assert "worker.parameters.flamenco.commands.0: there is no command 'excec'" in told
    tasks = space.tasks()
    assert worker.task().status == 204
    assert space.tasks() == tasks  # nothing more is burnt


def test_a_process_that_ends_and_one_that_begins(space: Space, gate: Gate) -> None:
    submit(space, "anew", 1)
    worker = come_in(gate.url, gate.token(space), "anew")
    first = given(worker)["_id"]
    assert worker.update(first, "active", "T1: killed").status == 204
    assert worker.sign_on().status == 204  # the process is another one
    second = given(worker)["_id"]
    assert second != first
    assert worker.update(first, "completed").status in {204, 404, 409}
    assert worker.may_i_run(first).body["may_keep_running"] is False
    assert worker.may_i_run(second).body["may_keep_running"] is True
    assert worker.update(second, "active", "T2: stopped").status == 204
    assert worker.sign_off().status == 204
    other = come_in(gate.url, gate.token(space), "anew")
    assert given(other)["_id"] != second
    (task,) = space.tasks()
    assert [a["failure"] for a in task["status"]["attempts"][:2]] == ["Interrupted"] * 2
    assert not [key for key in space.stored() if key.endswith("success.json")]
    assert sorted(logs(space, "anew")) == ["T1: killed", "T2: stopped"]
