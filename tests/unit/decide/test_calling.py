"""Workers of a pool that run and never call: kubeflow/spark-operator#1075."""

import itertools
from dataclasses import replace

from bec_operator.decide.attempts.actions import DeletePod
from bec_operator.decide.hosts.actions import MarkWorker
from bec_operator.decide.hosts.cannot_call import CALLS_WITHIN, CANNOT_CALL, TRY_AGAIN, Calling
from bec_operator.decide.hosts.pool import Host, Pool, PoolNotes, Workload
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import JobSeen, PodSeen
from bec_operator.decide.slots.pool_size import replace_hosts, scale, wanted
from tests.unit.decide.test_scaling import SPEC, pool

URL = "http://bec-operator-workers.bec.svc:8080"
NOW = 5000.0


def host(
    name: str,
    *,
    calls: float | None = None,
    asked: float | None = None,
    runs: bool = True,
    restarts: int = 0,
    busy: bool = False,
) -> Host:
    pod = PodSeen("ns", name, name, 1, "j", "", "rs", phase="Running")
    worker = PoolWorker(name, "s", calls, asked, asked) if calls is not None else None
    seen = PoolPod(pod, "now", ready=True, runs=runs, restarts=restarts)
    return Host(seen, worker, busy)


def look(calling: Calling, now: float, *hosts: Host, turned_away: float = 0.0) -> Pool:
    seen = pool(*hosts)
    calling.observe(seen, URL, turned_away, now)
    return seen


def aim(calling: Calling, seen: Pool) -> int:
    notes = PoolNotes(lowered=0.0)
    return wanted(SPEC, seen, notes, Workload(5, 50), launch=True, most=calling.most).workers


def test_nobody_calls_so_the_pool_goes_to_zero_and_says_why() -> None:
    """kubeflow/spark-operator#1075, jupyterhub/zero-to-jupyterhub-k8s#3044."""
    calling, both = Calling(), (host("a"), host("b"))
    look(calling, NOW, *both)
    seen = look(calling, NOW + CALLS_WITHIN - 1, *both)
    assert (calling.tripped, calling.most, aim(calling, seen)) == (False, None, 5)
    seen = look(calling, NOW + CALLS_WITHIN, *both)
    assert calling.tripped
    assert CALLS_WITHIN + 10 < 180, "three minutes, with a pass and a write"
    assert URL in calling.said
    assert calling.said.startswith("2 worker(s) of the pool ran for 2m,")
    assert aim(calling, seen) == 0
    known = PoolNotes(lowered=0.0, began=NOW - 100)
    nobody = wanted(SPEC, seen, known, Workload(5, 50), launch=True, most=calling.most)
    marked = list(scale(SPEC, seen, known, nobody, NOW + CALLS_WITHIN))
    assert [(a.pod.name, a.draining) for a in marked if isinstance(a, MarkWorker)] == [
        ("a", True),
        ("b", True),
    ]


def test_one_tries_again_ever_more_rarely() -> None:
    calling, now, tries = Calling(), NOW, list[float]()
    look(calling, now, host("first"))
    while now < NOW + 24 * 3600:
        now += 10.0
        hosts = [host(f"try-{len(tries)}")] if calling.most != 0 else []
        before = calling.most
        look(calling, now, *hosts)
        if before != 1 and calling.most == 1:
            tries.append(now)
    waits = [after - before for before, after in itertools.pairwise(tries)]
    assert waits == sorted(waits)
    assert waits[0] >= TRY_AGAIN[0] + CALLS_WITHIN
    assert 15 < len(tries) < 40, "of a day"


def test_a_worker_that_calls_heals_it() -> None:
    calling = Calling()
    look(calling, NOW, host("a"))
    look(calling, NOW + 200, host("a"))
    assert calling.tripped
    seen = look(calling, NOW + 210, host("a", calls=NOW + 205))
    assert (calling.tripped, calling.said, calling.most) == (False, "", None)
    assert aim(calling, seen) == 5


def test_who_loads_first_and_calls_then_is_waited_for_longer() -> None:
    """The BEC ops functions call when the first volume is asked for: a model of ten minutes."""
    calling, now, born = Calling(), NOW, NOW
    there, restarts = True, 0
    while now < NOW + 3 * 3600:
        now += 10.0
        there = calling.most != 0
        born = born if there else now
        calls = born + 600.0 if there and now - born > 600.0 else None
        look(calling, now, *([host(f"w{born}", calls=calls)] if there else []))
        if calls is not None:
            break
    assert calls is not None, "it is let come so far"
    look(calling, now, host("w", calls=now), host("late"))
    look(calling, now + 650.0, host("w", calls=now), host("late", restarts=restarts))
    assert not calling.mute, "others may take as long"


def test_one_that_does_not_call_while_others_do_is_replaced() -> None:
    calling = Calling()
    both = (host("mute"), host("well", calls=NOW + 5, asked=NOW + 100))
    look(calling, NOW, *both)
    seen = look(calling, NOW + CALLS_WITHIN + 20, *both)
    assert not calling.tripped
    (gone,) = replace_hosts(seen, calling.mute)
    assert isinstance(gone, DeletePod)
    assert gone.pod.name == "mute"
    other = (host("another"), host("well", calls=NOW + 5, asked=NOW + 300))
    look(calling, NOW + 200, *other)
    look(calling, NOW + 200 + CALLS_WITHIN, *other)
    assert not calling.mute, "the next one has longer"


def test_once_a_newer_one_calls_the_next_ones_have_the_usual_time() -> None:
    """Else a pool that has lived for long would say it after an hour."""
    calling, now = Calling(), NOW
    for turn in range(8):
        look(calling, now, host("well", calls=NOW, asked=now), host(f"mute-{turn}"))
        while not calling.mute:
            now += 10.0
            look(calling, now, host("well", calls=NOW, asked=now), host(f"mute-{turn}"))
    assert now - NOW > 3600.0
    look(calling, now + 10, host("well", calls=NOW, asked=now + 10), host("new"))
    look(calling, now + 20, host("well", calls=NOW, asked=now), host("new", calls=now + 15))
    then, there = now + 15 + CALLS_WITHIN, (host("x"), host("y"))
    look(calling, then, *there)
    look(calling, then + CALLS_WITHIN, *there)
    assert calling.tripped


def test_it_is_said_of_workers_that_have_called_before() -> None:
    """A NetworkPolicy comes while they wait for work."""
    calling, then = Calling(), NOW + 4000
    waits, works = host("a", calls=NOW, asked=then), host("b", calls=NOW, busy=True)
    look(calling, NOW, waits, works)
    look(calling, then, waits, works)
    look(calling, then + CALLS_WITHIN, waits, works)
    assert calling.mute == {"a"}, "the other one still works"
    silent = replace(works, busy=False)  # its attempt was Silent
    again = host("c")
    look(calling, then + CALLS_WITHIN + 10, silent, again)
    look(calling, then + 3 * CALLS_WITHIN, silent, again)
    assert not calling.mute, "nobody calls: that is no fault of theirs"
    look(calling, then + 5 * CALLS_WITHIN, silent, again)
    assert calling.tripped
    look(calling, then + 6 * CALLS_WITHIN, host("c", calls=NOW, asked=then + 6 * CALLS_WITHIN))
    assert not calling.tripped


def test_who_has_registered_may_load_for_hours() -> None:
    calling, loads = Calling(), host("a", calls=NOW)
    for after in range(0, 3 * 3600, 10):
        look(calling, NOW + after, loads, host("b", calls=NOW, asked=NOW + after))
        assert not calling.mute
    for after in range(3 * 3600, 6 * 3600, 10):
        look(calling, NOW + after, loads)
        assert not calling.tripped


def test_nobody_is_blamed_whose_calls_are_not_heard() -> None:
    calling, one = Calling(), host("a")
    look(calling, NOW, one)
    look(calling, NOW + 200, one, turned_away=NOW + 100)
    assert not calling.tripped
    look(calling, NOW + 260, one, turned_away=NOW + 100)
    assert calling.tripped


def test_one_that_starts_again_and_again_has_its_time_anew() -> None:
    """A crash before the first call is a crash: it is told as that."""
    calling = Calling()
    for crash in range(20):
        look(calling, NOW + 60 * crash, host("a", restarts=crash))
    assert not calling.tripped
    look(calling, NOW + 2000, host("a", runs=False, restarts=20))
    assert not calling.tripped


def test_a_restart_believes_the_job_and_tries_with_one() -> None:
    job = Memory(JobSeen("ns", "j", "j", 1, 1, "", SPEC)).job
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": CANNOT_CALL,
        "message": f"none has called {URL}",
        "lastTransitionTime": "2026-11-24T12:00:00Z",
        "observedGeneration": 1,
    }
    status = job.status.model_validate({"conditions": [stalled]})
    memory = Memory(replace(job, status=status))
    calling = memory.calling
    seen = look(calling, NOW, host("a"), host("b"))
    assert calling.tripped
    assert aim(calling, seen) == 1
    memory.observe_job(replace(memory.job, generation=2))
    assert not memory.calling.tripped, "its spec has changed"


def test_a_pool_that_is_told_another_address_begins_anew() -> None:
    calling = Calling()
    look(calling, NOW, host("a"))
    look(calling, NOW + 200, host("a"))
    assert calling.tripped
    calling.observe(Pool(revision="other"), URL, 0.0, NOW + 210)
    assert (calling.tripped, calling.most) == (False, None)
