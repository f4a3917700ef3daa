"""Tasks that are over and stay as history cost nothing, until something happens to them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.observing import observe_tasks
from tests.unit.decide.books import left_in_memory
from tests.unit.decide.fake_api import NAMESPACE
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.plan import Plan

NER = (NAMESPACE, "ner")
FAILED = [0, 2, 4]


@contextmanager
def _waiting(keep_succeeded: int = 0) -> Iterator[Fleet]:
    """Play a Job of which three volumes have failed, and the last one waits for good."""
    plans = [
        Plan(name="scan", volumes=7, keep_succeeded=0),
        Plan(
            name="ner",
            volumes=8,
            limit=1,
            keep_failed=10,
            keep_succeeded=keep_succeeded,
            hopeless=frozenset(FAILED),
            depends_on=(("scan", "Wait"),),
        ),
    ]
    with Fleet(plans) as fleet:
        fleet.run_until(lambda: fleet.status("ner").counts.finished == 7, 120.0)
        fleet.run(20.0)
        kept = {TaskPhase.FAILED: 3, TaskPhase.SUCCEEDED: keep_succeeded}
        assert _laid_by(fleet) == {phase: number for phase, number in kept.items() if number}
        yield fleet


def _laid_by(fleet: Fleet) -> dict[TaskPhase, int]:
    assert not fleet.operator.cache.tasks.of_job(NER)
    assert not fleet.operator.cache.pods.of_job(NER)
    return dict(fleet.operator.cache.tasks.laid_by(NER))


def _kept(fleet: Fleet) -> list[dict[str, Any]]:
    return fleet.worlds["ner"].all("volumetasks")


def test_nothing_is_remembered_of_them() -> None:
    with _waiting() as fleet:
        left = left_in_memory(fleet.memory("ner"))
        of_volumes = tuple(f"books.{name}" for name in (
            "volumes", "prefixes", "ledger", "frontier", "gates", "listed", "report", "throughput",
            "hosts.nodes",
        ))  # fmt: skip
        assert {name for name in left if not name.startswith(("breaker", *of_volumes))} == set()


def test_a_pass_looks_at_none_of_them() -> None:
    seen: list[int] = []

    def counted(memory: Memory, tasks: Any) -> None:
        seen.append(len(tasks))
        observe_tasks(memory, tasks)

    plan = Plan(
        volumes=60,
        parallelism=4,
        limit=1,
        keep_failed=1000,
        keep_succeeded=0,
        hopeless=frozenset(range(0, 60, 2)),
    )
    with patch("bec_operator.act.passes.observe_tasks", counted), Fleet([plan]) as fleet:
        fleet.run_until(lambda: fleet.status("ocr").counts.failed >= 28, 300.0)
        # Those that run, and what has ended since the ledger was stored last.
        assert max(seen[-20:]) <= 16
        fleet.run_until(lambda: fleet.has_ended("ocr"), 60.0)
        assert len(fleet.worlds["ocr"].all("volumetasks")) == 30


def test_one_that_somebody_changes_is_looked_at_again() -> None:
    with _waiting() as fleet:
        world, name = fleet.worlds["ner"], _kept(fleet)[0]["metadata"]["name"]
        world.patch_status("volumetasks", name, {"phase": "Succeeded"})
        fleet.run(20.0)
        assert {task["status"]["phase"] for task in _kept(fleet)} == {"Failed"}
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}


def test_a_success_that_somebody_changes_says_again_what_it_is() -> None:
    with _waiting(keep_succeeded=2) as fleet:
        world, kept = fleet.worlds["ner"], _kept(fleet)
        name = next(t["metadata"]["name"] for t in kept if t["status"]["phase"] == "Succeeded")
        world.patch_status("volumetasks", name, {"phase": "Failed", "message": "not so"})
        fleet.run(20.0)
        assert Counter(task["status"]["phase"] for task in _kept(fleet)) == {
            "Failed": 3,
            "Succeeded": 2,
        }
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3, TaskPhase.SUCCEEDED: 2}


def test_one_that_somebody_deletes_is_gone() -> None:
    with _waiting() as fleet:
        fleet.objects.remove("volumetasks", _kept(fleet)[0]["metadata"]["name"])
        fleet.run(20.0)
        assert _laid_by(fleet) == {TaskPhase.FAILED: 2}
        assert fleet.status("ner").counts.failed == 3


def test_one_whose_pod_changes_is_looked_at_again() -> None:
    """Whatever is the matter with it: it goes as its task does."""
    with _waiting() as fleet:
        task, (pod, *_) = _kept(fleet)[0]["metadata"], fleet.worlds["ner"].all("pods")
        assert pod["metadata"]["name"].startswith(task["name"])
        note = {"metadata": {"annotations": {"seen": "by somebody"}}}
        fleet.objects.patch("pods", pod["metadata"]["name"], note)
        fleet.run(0.05)
        taken_up = fleet.operator.cache.tasks.of_job(NER)
        fleet.run(10.0)
        assert [*taken_up] in ([task["name"]], [])
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}
        fleet.objects.remove("pods", pod["metadata"]["name"])
        fleet.run(10.0)
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}


def test_a_shorter_history_takes_the_others_away() -> None:
    with _waiting() as fleet:
        fleet.worlds["ner"].edit_job({"history": {"failed": 1}})
        fleet.run(20.0)
        assert _laid_by(fleet) == {TaskPhase.FAILED: 1}
        assert len(_kept(fleet)) == 1


def test_what_is_tried_again_leaves_the_history() -> None:
    with _waiting() as fleet:
        before = {task["metadata"]["uid"] for task in _kept(fleet)}
        fleet.worlds["ner"].retry_failed()
        fleet.run(5.0)
        fleet.run_until(lambda: fleet.status("ner").counts.failed == 3, 120.0)
        fleet.run(20.0)
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}
        assert not before & {task["metadata"]["uid"] for task in _kept(fleet)}


def test_what_is_done_again_leaves_the_history() -> None:
    with _waiting() as fleet:
        guard = fleet.guards["ner"]
        for rule in ("ledger", "task", "record", "pod", "deletion"):
            setattr(guard, f"_check_{rule}", lambda *_: None)
        fleet.worlds["ner"].edit_job({"redoAt": "2020-01-01T00:00:00Z"})  # all markers count
        fleet.run(5.0)
        fleet.run_until(lambda: fleet.status("ner").counts.finished == 7, 120.0)
        fleet.run(20.0)
        assert fleet.status("ner").counts.already_done == 4
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}


def test_a_restart_lays_them_by_again() -> None:
    with _waiting() as fleet:
        fleet.restart()
        fleet.run(20.0)
        assert _laid_by(fleet) == {TaskPhase.FAILED: 3}
