"""Which attempts do not count, and who gets the next one."""

from dataclasses import replace

import pytest

from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.attempts.blame import MOST_EXCUSED, excuses, judged
from bec_operator.decide.attempts.retrying import Budget, is_final
from bec_operator.decide.hosts.at_fault import AVOIDED, Hosts
from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import TaskSeen, failures_of
from bec_operator.decide.slots.pairing import pair
from tests.unit.decide.test_scaling import host, pool

NOW = 1000.0
ONE, THREE = Budget(1), Budget(3)


def failed(number: int, worker: str = "", node: str = "n1", **more: object) -> Attempt:
    seen = {"number": number, "pod": worker or f"t-{number}", "pod_uid": worker or f"u{number}"}
    told = {"failure": "Retryable", "message": "CUDA error", "session": "s" if worker else ""}
    return Attempt.model_validate({**seen, "node": node, **told, **more})


def hosts(*, workers: bool = True, nodes: tuple[str, ...] = ("n1",)) -> Hosts:
    return Hosts(more_workers=workers, ran_on=frozenset(nodes))


def labels(attempts: list[Attempt]) -> list[str]:
    return [attempt.failure for attempt in attempts]


def a_hole(worker: str = "w1", node: str = "n1") -> Hosts:
    """Return what is known once others have done the volumes 1 and 2 that this worker failed."""
    known = hosts()
    for index in (1, 2):
        known.note_failure(index, failed(1, worker, node), NOW)
    known.note_success(1, Attempt(number=2, pod="w2", pod_uid="w2", node="n2", session="s"), NOW)
    return known


def test_no_volume_is_given_up_on_the_word_of_one_worker() -> None:
    (last,) = judged([failed(1, "w1")], 7, ONE, hosts())
    assert last.failure == "BadHost"
    assert last.message == (
        "does not count: nothing but worker w1 has tried it, and another one may; "
        "it was Retryable: CUDA error"
    )
    both = judged([last, failed(2, "w2")], 7, ONE, hosts())
    assert labels(both) == ["BadHost", "Retryable"]
    assert is_final(failures_of(both), ONE)


@pytest.mark.parametrize(
    ("attempts", "known"),
    [
        ([failed(1, "w1")], hosts(workers=False)),
        ([failed(1)], hosts(nodes=("n1",))),
        ([failed(1, "w1", failure="Terminal")], hosts()),
        ([failed(1, "w1", failure="OutOfMemory")], hosts()),
        ([failed(1, "w1", failure="MarkerMissing")], hosts()),
    ],
)
def test_where_nobody_else_can_say_more_it_counts(attempts: list[Attempt], known: Hosts) -> None:
    assert judged(attempts, 7, ONE, known) == attempts


def test_a_pod_on_one_node_is_tried_on_another_one() -> None:
    known = hosts(nodes=("n1", "n2"))
    assert labels(judged([failed(1)], 7, ONE, known)) == ["BadHost"]
    two = [failed(1), failed(2, node="n2")]
    assert judged(two, 7, Budget(2), known) == two
    workers = [failed(1, "w1"), failed(2, "w2"), failed(3, "w3")]
    assert labels(judged(workers, 7, THREE, known))[-1] == "BadHost", "all on one node of two"


def test_a_volume_that_breaks_whatever_it_meets_comes_to_its_end() -> None:
    known, attempts = a_hole("w1"), list[Attempt]()
    while not is_final(failures_of(attempts), ONE):
        attempts = judged([*attempts, failed(len(attempts) + 1, "w1")], 7, ONE, known)
        assert len(attempts) <= MOST_EXCUSED + 1
    assert labels(attempts) == ["BadHost"] * MOST_EXCUSED + ["Retryable"]


def test_what_is_on_record_is_renamed_once_it_is_clear() -> None:
    """Volume 2 waits for its next attempt as volume 1 is done elsewhere."""
    attempt = failed(1, "w1")
    task = TaskSeen(
        "ns", "t", "t", 1, "j", "j", 2, TaskPhase.RETRYING, attempts=(attempt,), next_attempt=9e9
    )
    assert list(excuses([task], {}, hosts())) == []
    (record,) = excuses([task], {}, a_hole())
    (told,) = record.status.attempts
    assert told.failure == "BadHost"
    assert "worker w1 failed 1 volume that others did; it was Retryable" in told.message
    assert record.status.next_attempt is None
    assert record.failed is None, "it is no failure more"
    other = replace(task, index=8)
    assert list(excuses([other], {}, a_hole())) == [], "it failed before that"
    done = replace(task, attempts=(told,))
    assert list(excuses([done], {}, a_hole())) == []


def test_what_was_not_counted_is_known_after_a_restart() -> None:
    bad = {"failure": FailureClass.BAD_HOST.label}
    tasks = [
        TaskSeen("ns", f"t{n}", f"t{n}", 1, "j", "j", n, attempts=(failed(1, "w1", **bad),))
        for n in range(2)
    ]
    known = Hosts()
    known.observe(tasks, {}, pool(host("w1", node="n1")), NOW, more_workers=True)
    assert known.withheld(tripped=False) == {"w1"}
    assert known.withheld(tripped=True) == frozenset(), "where all fail, it is nobody's fault"


def test_nodes_are_avoided_ever_longer_and_tried_with_one_pod() -> None:
    known, now = hosts(nodes=("n1", "n2")), NOW

    def look() -> list[str]:
        known.observe([], {}, Pool(), now, more_workers=False)
        known.ran_on = frozenset({"n1", "n2"})
        return known.shunned(now)

    holds = []
    for turn in range(6):
        for index in (10 * turn, 10 * turn + 1):
            known.note_failure(index, failed(index + 1, node="n1"), now)
            done = Attempt(number=2, pod="p", pod_uid="p", node="n2")
            known.note_success(index, done, now)
        began = now
        while look() == ["n1"]:
            now += 10.0
        holds.append(now - began)
        known.note_launch(now)
        assert look() == ["n1"], "one pod at a time"
        assert known.disliked(now) == ["n1"]
    assert holds == [AVOIDED[0], 1200.0, 2400.0, 4800.0, AVOIDED[1], AVOIDED[1]]
    moment = iso(now - 5)
    probe = Attempt(number=1, pod="p", pod_uid="p", node="n1", start_time=moment)
    known.note_success(99, probe, now)
    assert look() == []
    assert known.said == ""


# --- who gets the next one


def waits(*attempts: Attempt) -> TaskSeen:
    return TaskSeen("ns", "t", "t", 1, "j", "j", 2, TaskPhase.RETRYING, attempts=attempts)


def chosen(task: TaskSeen, idle: list[Host], there: Pool) -> str:
    found = pair([task], idle, there, 5, several=True)
    return next((h.pod.name for h in found.hosts.values()), "")


def test_the_next_attempt_goes_to_another_worker_on_another_node_if_there_is_one() -> None:
    a, b, c = host("a", node="n1"), host("b", node="n1"), host("c", node="n2")
    task = waits(failed(1, "a", "n1"))
    assert chosen(task, [a, b, c], pool(a, b, c)) == "c"
    assert chosen(task, [a, b], pool(a, b)) == "b"
    assert chosen(waits(), [a, b, c], pool(a, b, c)) == "a"
    working = replace(c, busy=True)
    assert chosen(task, [a, b], pool(a, b, working)) == "b", "that one may work for hours"
    busy = replace(b, busy=True)
    assert chosen(task, [a], pool(a, busy, working)) == "", "it waits for either"
    d = host("d", node="n1")
    two = waits(failed(1, "a"), failed(2, "b", failure="BadHost"))
    assert chosen(two, [a, b, d], pool(a, b, d, working)) == "", "another node has to say"
    assert chosen(two, [a, b, d], pool(a, b, d)) == "d"
    counted = waits(failed(1, "a"), failed(2, "b"))
    assert chosen(counted, [a, b, d], pool(a, b, d, working)) == "d"


def test_where_all_have_failed_it_the_same_may_or_another_one_has_to_come() -> None:
    a = host("a", node="n1")
    assert chosen(waits(failed(1, "a")), [a], pool(a)) == "a"
    asks = waits(failed(1, "a", failure="BadHost"))
    found = pair([asks], [a], pool(a), 5, several=True)
    assert not found.hosts
    assert found.stale == {"a"}
    assert pair([asks], [a], pool(a), 5, several=False).hosts.keys() == {"t"}


def test_what_waits_for_another_worker_holds_up_nothing_else() -> None:
    a, b = host("a", node="n1"), host("b", node="n2", busy=True)
    first, second = waits(failed(1, "a")), replace(waits(), uid="second")
    found = pair([first, second], [a], pool(a, b), 1, several=True)
    assert found.hosts.keys() == {"second"}
