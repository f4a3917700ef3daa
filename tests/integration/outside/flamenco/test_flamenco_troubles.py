"""Flamenco Workers while S3 or the operator is away; and the loop of the example."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import yaml

from tests.integration.outside.conftest import Gate
from tests.support.flamenco import signed
from tests.support.flamenco_jobs import ONLY, come_in, given, logs, submit
from tests.support.jobs import counts
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until

EXAMPLE = Path(__file__).parents[4] / "examples/faces/flamenco"


def test_s3_is_slow_or_away_at_the_end(space: Space, gate: Gate, faults: S3Faults) -> None:
    live = submit(space, "slow", 1)
    worker = come_in(gate.url, gate.token(space), "slow")
    known_as = given(worker)["_id"]
    faults.refuse(503, "PutObject", "/slow/")
    assert worker.update(known_as, "completed", "T1: is done").status == 503
    assert worker.may_i_run(known_as).body == {"may_keep_running": True}
    faults.heal()
    faults.delay(4, "PutObject", "success.json")
    assert worker.update(known_as, "completed", "T1: is done").status == 503
    until(lambda: worker.update(known_as, "completed", "T1: is done").status == 204, "it is taken")
    faults.heal()
    assert counts(live.wait_complete())["succeeded"] == 1
    assert logs(space, "slow") == ["T1: is done"]
    marker = json.loads(space.read("artefacts/slow/W1-I0-v1/success.json"))
    assert marker["task"] == known_as


def test_what_is_expected_has_to_be_there(space: Space, gate: Gate) -> None:
    output = {"bucket": space.bucket, "expect": ["*.txt"]}
    live = submit(space, "expects", 1, output=output)
    worker = come_in(gate.url, gate.token(space), "expects")
    assert worker.update(given(worker)["_id"], "completed").status == 409
    known_as = given(worker)["_id"]
    space.put("artefacts/expects/W1-I0-v1/page.txt", b"text")
    assert worker.update(known_as, "completed").status == 204
    assert counts(live.wait_complete())["succeeded"] == 1


def test_jobs_that_give_nothing_are_in_nobody_s_way(space: Space, gate: Gate) -> None:
    names = ("full1", "full2", "full3", "full4", "free")
    for name in names:
        most = 5 if name == "free" else 1
        submit(space, name, 2, outside={**ONLY, "max": most})
        worker = come_in(gate.url, gate.token(space, jobs=name), name)
        assert given(worker)["job"].endswith(name)
    asking = come_in(gate.url, gate.token(space), *names)
    assert given(asking)["job"].endswith("free")


def test_the_operator_is_away_for_a_while(space: Space, gate: Gate) -> None:
    live = submit(space, "away", 2)
    worker = come_in(gate.url, gate.token(space), "away")
    first = given(worker)["_id"]
    assert worker.update(first, "active", "T1: before").status == 204
    assert worker.log(first, "T2: not stored yet").status == 204

    def may() -> bool:
        reply = worker.may_i_run(first)
        assert reply.body["may_keep_running"] is True
        return reply.status == 200

    for end in (gate.operator.stop, gate.operator.kill):
        end()
        gate.operator.start()
        until(may, "the task is known again")
    assert worker.task().status == 204  # it has one, and its last word may be on its way
    assert worker.update(first, "completed", "T3: after").status == 204
    assert worker.update(given(worker)["_id"], "completed").status == 204
    assert counts(live.wait_complete())["succeeded"] == 2
    assert logs(space, "away") == ["T1: before\nT2: not stored yet\nT3: after"]


def test_updates_that_are_too_much(space: Space, gate: Gate) -> None:
    submit(space, "much", 6)
    worker, *others = [come_in(gate.url, gate.token(space), "much") for _ in range(5)]
    nested = b'{"x": [' + b"[]," * 1_000_000 + b"[]]}"
    known_as = given(worker)["_id"]
    assert worker.send("POST", f"/tasks/{known_as}/update", raw=nested).status == 409
    known_as = given(worker)["_id"]
    line = {"log": "x" * 200_000}
    assert worker.update(known_as, "active", **line).status == 204
    with ExitStack() as wires:
        wires.enter_context(worker.begin_update(known_as, 1000))
        until(lambda: worker.log(known_as, "T1: a").status == 429, "one is being taken in")
    until(lambda: worker.log(known_as, "T1: a").status == 204, "it is over")
    with ExitStack() as wires:
        for other in others:
            wires.enter_context(other.begin_update(given(other)["_id"], 200_000))
        until(lambda: worker.update(known_as, "active", **line).status == 503, "no room for more")
        assert worker.log(known_as, "T2: b").status == 204  # there is for small ones
        assert worker.update("none", "active", **line).status == 404  # and for what is nobody's
    until(lambda: worker.update(known_as, "active", **line).status == 204, "there is room again")
    until(lambda: worker.update(known_as, "active", **line).status == 429, "too many of them")


def test_late_lines_that_are_too_many(space: Space, gate: Gate) -> None:
    submit(space, "verbose", 2)
    worker = come_in(gate.url, gate.token(space), "verbose")
    known_as = given(worker)["_id"]
    assert worker.update(known_as, "completed").status == 204
    told = [worker.log(known_as, f"T{n}: late").status for n in range(60)]
    assert told[0] == 204
    assert 429 in told
    assert worker.update(given(worker)["_id"], "active", "T1: in time").status == 204


def test_a_worker_that_starts_again_and_again(space: Space, gate: Gate) -> None:
    token = gate.token(space)
    worker, other = come_in(gate.url, token, "often"), come_in(gate.url, token, "often")
    told = []
    for number in range(20):
        worker.types = (f"type{number % 2}",)
        again = worker.sign_on() if number % 3 else worker.register(signed(token))
        told.append(again.status)
    assert told[0] == 200
    assert 429 in told
    assert worker.task().status == 204
    assert other.sign_on().status == 204


def test_the_loop_of_the_example(space: Space, gate: Gate, tmp_path: Path) -> None:
    spec = yaml.safe_load((EXAMPLE / "job.yaml").read_text())
    spec["metadata"]["namespace"] = space.namespace
    spec["spec"]["output"] = {"bucket": space.bucket}
    live = space.submit(spec)
    process = subprocess.Popen(
        [sys.executable, EXAMPLE / "worker.py", gate.url, tmp_path / "id", "file-management"],
        env={**os.environ, "FLAMENCO_SECRET": gate.token(space)},
    )
    try:
        assert counts(live.wait_complete())["succeeded"] == 2
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0
    first, second = sorted(logs(space, "previews"))
    assert "preview of W0EX1 I0EX1, attempt 1" in first
    assert "from I0EX2 as jpeg" in second
