"""Short plays of several Jobs under the operator as it runs: what once went wrong, or could."""

from typing import Any
from unittest.mock import patch

import pytest

from bec_operator.act import passes, reconciler
from bec_operator.act.case import BACKOFF
from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.known_objects import KnownObjects
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.slots.pacing import ALL_SHARE
from tests.unit.decide.books import left_in_memory
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.injected import SECRET, Fault, injected
from tests.unit.decide.plan import Plan

FAILING = Plan(hopeless=frozenset({1}), keep_failed=0, keep_succeeded=0)


def _left(fleet: Fleet, name: str) -> dict[str, Any]:
    return left_in_memory(fleet.memory(name))


def test_who_writes_to_the_same_place_begins_after_the_last_word() -> None:
    """Else it empties the report of the one before, which is about to say that it has ended."""
    with Fleet([FAILING, Plan(name="again", job_id="ocr")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr", "again"), 60.0)


@pytest.mark.parametrize("error", [TimeoutError, KeyError])
def test_the_answer_to_the_last_status_is_lost(error: type[Exception]) -> None:
    """The Job has ended, and nothing is remembered of its volumes all the same."""
    fault = Fault("ocr", "answer", "PATCH jobs", error)
    with injected(fault), Fleet([FAILING], [fault]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.run(5.0)
        assert "ledger" not in _left(fleet, "ocr")
        fault.mended = True
        fleet.run(60.0)
        assert _left(fleet, "ocr") == {}


@pytest.mark.parametrize("plan", [FAILING, Plan(pool=2, volumes=4, keep_succeeded=0)])
def test_nothing_is_remembered_of_a_job_that_has_ended(plan: Plan) -> None:
    with Fleet([plan]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.run(30.0)
        assert _left(fleet, "ocr") == {}


@pytest.mark.parametrize("what", ["jobs", "pods", "volumetasks", "deployments"])
def test_what_could_not_be_read_once_is_read_again(what: str) -> None:
    """The last that is heard of a pod may be what could not be read."""
    fault = Fault("ocr", "reading", what, RecursionError)
    with injected(fault), Fleet([Plan(pool=2), Plan(name="ner")], [fault]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ner"), 60.0)
        assert fault.fired
        fault.mended = True
        fleet.run_until(lambda: fleet.has_ended("ocr"), 300.0)


def test_an_idle_operator_asks_nothing() -> None:
    with Fleet([Plan(), Plan(name="ner")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr", "ner"), 60.0)
        fleet.run(30.0)
        before = len(fleet.requests)
        fleet.run(600.0)
        assert fleet.requests[before:] == []


def test_the_loop_outlives_what_breaks_outside_of_all_fences() -> None:
    with (
        patch.object(reconciler, "count_books", side_effect=KeyError(SECRET)),
        Fleet([Plan()]) as fleet,
    ):
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)


def test_the_loop_outlives_what_breaks_as_it_takes_its_picture() -> None:
    """The last one holds: a moment later there is another."""
    right, breaks = KnownObjects.jobs, [3]

    def wrong(self: KnownObjects[Any]) -> Any:
        if breaks[0]:
            breaks[0] -= 1
            raise KeyError(SECRET)
        return right(self)

    with patch.object(KnownObjects, "jobs", wrong), Fleet([Plan(), Plan(name="ner")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr", "ner"), 60.0)
    assert breaks == [0]


def test_a_job_whose_passes_take_long_leaves_time_to_all_others() -> None:
    """Half a second each: of the time it gets no more than its share, and others go on."""
    spent = [0.0]

    def slow(seen: Scene) -> list[Action]:
        if seen.memory.job.name == "ocr":
            fleet.loop.pass_by(0.5)
            spent[0] += 0.5
        return decide(seen)

    plans = [Plan(volumes=12), Plan(name="ner"), Plan(name="warm", pool=2)]
    with patch.object(passes, "decide", slow), Fleet(plans) as fleet:
        began = fleet.clock.now()
        fleet.run_until(lambda: fleet.has_ended("ner", "warm"), 60.0)
        fleet.run_until(lambda: fleet.has_ended("ocr"), 300.0)
        assert spent[0] <= 0.5 + ALL_SHARE * (fleet.clock.now() - began)


def test_a_read_of_a_marker_that_breaks_is_repeated() -> None:
    fault = Fault("ocr", "s3", "success.json", FileNotFoundError, times=2)
    with Fleet([Plan(done_before=frozenset({0, 1}))], [fault]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        assert len(fault.fired) == 2
        assert fleet.status("ocr").counts.already_done == 2


def test_pods_of_a_job_that_is_not_loaded_yet_count() -> None:
    """After a restart the first Job that is loaded must not take what another one's pods hold."""
    lost = Fault("ocr", "s3", "manifest-", times=0)
    plans = [Plan(volumes=12, parallelism=3), Plan(name="ner", volumes=12, parallelism=9)]
    with Fleet(plans, [lost], max_pods=4) as fleet:
        fleet.run_until(lambda: len(fleet.worlds["ocr"].pods()) == 2, 10.0)
        lost.times, fleet.pods_rest = None, True
        fleet.restart()
        for _ in range(20):
            fleet.run(1.0)
            alive = [life for world in fleet.worlds.values() for life in world.pods()]
            assert len(alive) <= 4
        assert lost.fired
        lost.mended, fleet.pods_rest = True, False
        fleet.run_until(lambda: fleet.has_ended("ocr", "ner"), 120.0)


def test_a_pool_waits_for_that_of_an_older_job_of_its_name() -> None:
    plan = Plan(pool=2, volumes=4)
    with Fleet([plan]) as fleet:
        fleet.pods_rest = True  # and no garbage is collected
        fleet.run_until(lambda: fleet.objects.all("deployments"), 20.0)
        fleet.delete("ocr")
        fleet.objects.remove("configmaps", "ocr-ledger")
        fleet.apply(plan)
        before = fleet.asked("POST", "deployments")
        fleet.run(120.0)
        assert fleet.asked("POST", "deployments") - before <= 12
        assert _ready(fleet, "ocr")[0] == "WaitingForOldPool"
        fleet.pods_rest = False
        fleet.run_until(lambda: fleet.has_ended("ocr"), 120.0)
        assert _left(fleet, "ocr").keys() <= {"books.tasks"}


def _ready(fleet: Fleet, name: str) -> tuple[str, str]:
    (found,) = [c for c in fleet.status(name).conditions if c.type == "Ready"]
    return found.reason, found.message


@pytest.mark.parametrize(
    ("pool", "plural"), [(0, "pods"), (0, "volumetasks"), (2, "deployments"), (2, "volumetasks")]
)
def test_what_a_quota_refuses_is_asked_for_ever_more_rarely(pool: int, plural: str) -> None:
    full = [True]

    def refuse(method: str, kind: str) -> None:
        if full[0] and (method, kind) == ("POST", plural):
            raise ApiError(403, "Forbidden", f"{plural} is forbidden: exceeded quota: few")

    with Fleet([Plan(pool=pool, volumes=9, parallelism=9)]) as fleet:
        fleet.refuse = refuse
        fleet.run(120.0)
        assert fleet.asked("POST", plural) <= 9 + 12
        assert _ready(fleet, "ocr")[0] == "QuotaExceeded"
        full[0] = False
        fleet.run_until(lambda: fleet.status("ocr").counts.running, 1.2 * BACKOFF[1] + 15.0)
        fleet.run_until(lambda: _ready(fleet, "ocr")[0] != "QuotaExceeded", 5.0)
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)


def test_a_conflict_about_its_status_does_not_bury_a_job() -> None:
    left = [2]

    def refuse(method: str, plural: str) -> None:
        if (method, plural) == ("PATCH", "jobs") and left[0]:
            left[0] -= 1
            raise ApiError(409, "Conflict", "the object has been modified")

    with Fleet([Plan()]) as fleet:
        fleet.refuse = refuse
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        assert left == [0]


def test_a_list_that_grows_again_and_again_stops_nothing() -> None:
    """What is new is swept alone, and what is startable starts meanwhile."""
    plan = Plan(volumes=3, parallelism=2, source="configMap", keep_succeeded=0)
    with Fleet([plan], list_every=1.0) as fleet:
        world, listed = fleet.worlds["ocr"], fleet.store.listed
        for number in range(4, 12):
            fleet.run(2.0)
            world.change_list(range(number))
        assert fleet.status("ocr").counts.finished >= 5
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        assert fleet.status("ocr").counts.total == 11
        assert len(listed) <= 10
        assert listed[-1].endswith("W-I10")  # from there on, and not from the first


WAITING = Plan(name="ner", volumes=4, depends_on=(("ocr", "Wait"),))


@pytest.mark.parametrize("how", ["delete", "edit"])
def test_what_was_read_for_another_job_goes_with_it(how: str) -> None:
    """One volume of it is not in the list of the other, and waits for good."""
    with Fleet([Plan(keep_succeeded=0)]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.apply(WAITING)
        fleet.run(30.0)
        assert fleet.memory("ocr").ends.outcomes is not None
        if how == "delete":
            fleet.delete("ner")
        else:
            fleet.worlds["ner"].edit_job({"dependsOn": []})
        fleet.run(10.0)
        assert _left(fleet, "ocr") == {}


def test_an_older_job_that_cannot_be_read_is_named() -> None:
    fault = Fault("ocr", "action", "LoadManifest")
    plans = [Plan(), Plan(name="again", job_id="ocr")]
    with injected(fault), Fleet(plans, [fault]) as fleet:
        fleet.run(15.0)
        reason, message = fleet.stall("again")
        assert reason == "WaitingForOlderJob"
        assert "bec/ocr" in message
        fault.mended = True
        fleet.run_until(lambda: fleet.has_ended("ocr", "again"), 120.0)


def test_an_ended_job_says_why_nothing_comes_of_what_it_is_asked_for() -> None:
    with Fleet([FAILING]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.store.trouble = "Unavailable"
        fleet.worlds["ocr"].retry_failed()
        fleet.run(10.0)
        assert fleet.stall("ocr")[0] == "StorageUnavailable"
        assert fleet.status("ocr").terminal
        fleet.store.trouble = None
        fleet.run_until(lambda: not fleet.status("ocr").terminal, 30.0)
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        assert fleet.stall("ocr") == ("", "")


def test_an_ended_job_whose_wish_is_nothing_new_stops_saying_so() -> None:
    with Fleet([Plan()]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        fleet.store.trouble = "Unavailable"
        fleet.worlds["ocr"].edit_job({"parallelism": 1})
        fleet.run_until(lambda: fleet.stall("ocr")[0] == "StorageUnavailable", 10.0)
        fleet.store.trouble = None
        fleet.run_until(lambda: fleet.stall("ocr") == ("", ""), 30.0)
        assert fleet.has_ended("ocr")


def test_a_job_of_which_nothing_can_be_remembered_says_so_and_costs_little() -> None:
    """The fence has no gate: what raises before the first pass is told, and waits as well."""
    made: list[str] = []

    def memory(job: JobSeen) -> Memory:
        if job.name == "ocr" and job.spec is not None:
            made.append(job.name)
            raise KeyError(SECRET)
        return Memory(job)

    with patch.object(reconciler, "Memory", memory), Fleet([Plan(), Plan(name="ner")]) as fleet:
        fleet.run_until(lambda: fleet.has_ended("ner"), 60.0)
        fleet.run(120.0)
        reason, message = fleet.stall("ocr")
        assert reason == "InternalError"
        assert "KeyError" in message
        assert SECRET not in message
        assert len(made) < 30
