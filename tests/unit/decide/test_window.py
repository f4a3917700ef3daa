"""How many tasks a job may have at once, whatever became of them."""

from dataclasses import replace

import pytest

from bec_operator.api.job import JobSpec
from bec_operator.api.pool import PoolSpec
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen
from bec_operator.decide.slots.filling import (
    Launches,
    hand_out,
    launches,
)
from bec_operator.decide.slots.room import MAX_ENDED, demand
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.steps import room_of

TOTAL = 3000
SPEC = JobSpec.model_validate(
    {
        "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "parallelism": 100,
        "history": {"succeeded": 10, "failed": 0},
    }
)
MOST = 100 + MAX_ENDED + 10


def _memory(ended: int) -> Memory:
    """A job of which so many tasks have succeeded and are still there."""
    memory = Memory(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC))
    volumes = [Volume("W1", f"I{number}") for number in range(TOTAL)]
    prefixes = [f"artefacts/ocr/W1-I{number}/" for number in range(TOTAL)]
    memory.load(volumes, prefixes, Ledger.fresh("sha", TOTAL), 0.0)
    assert memory.ledger is not None
    for index in range(ended):
        memory.books.tasks[index] = TaskSeen(
            "ns", f"t{index}", f"u{index}", 1, "j", "j", index, phase=TaskPhase.SUCCEEDED
        )
        memory.ledger.settle(index, Outcome.SUCCEEDED)
    return memory


@pytest.mark.parametrize(
    ("ended", "new"), [(0, 100), (10, 100), (MOST - 100, 100), (MOST - 30, 30), (MOST, 0), (999, 0)]
)
def test_tasks_that_have_ended_do_not_pile_up(ended: int, new: int) -> None:
    """kueue#4266: what the API server is slow to take away holds up what is new, in the end."""
    memory = _memory(ended)
    standings = Standings.of(memory, {})
    assert launches(memory, standings, room_of(memory, standings), 1.0).tasks == new


def _pool_memory(*failures: FailureClass | None) -> Memory:
    """A job with a pool, and a task each: due again after this failure, or not yet tried."""
    memory = _memory(0)
    assert memory.job.spec is not None
    spec = memory.job.spec.model_copy(update={"pool": Pool(), "parallelism": 2})
    memory.job = replace(memory.job, spec=spec)
    for index, failure in enumerate(failures):
        attempts = (Attempt(number=1, pod="p", failure=failure.label),) if failure else ()
        memory.books.tasks[index] = TaskSeen(
            "ns", f"t{index}", f"u{index}", 1, "j", "j", index, attempts=attempts
        )
    return memory


def _handed(memory: Memory, workers: int) -> Launches:
    idle = [Host(_pod(f"p{n}"), PoolWorker(f"p{n}", "s", 0.0, 1.0, 1.0), False) for n in range(9)]
    standings = Standings.of(memory, {})
    return hand_out(memory, standings, room_of(memory, standings), 1.0, idle[:workers])


def _pod(name: str) -> PoolPod:
    return PoolPod(PodSeen("ns", name, name, 1, "j", "", "rs"), "pool", ready=True, runs=True)


def test_each_worker_gets_a_task_as_far_as_the_window_goes() -> None:
    handed = _handed(_pool_memory(None, None, None), 3)
    assert {uid: host.pod.name for uid, host in handed.hosts.items()} == {"u0": "p0", "u1": "p1"}
    assert not handed.pods


def _fresh(memory: Memory, workers: int) -> list[str]:
    for index in range(TOTAL):
        active = index in memory.books.tasks
        memory.books.frontier[index] = VolumeState.ACTIVE if active else VolumeState.STARTABLE
    return [host.pod.name for host in _handed(memory, workers).fresh]


def test_a_new_task_is_made_for_a_worker_that_gets_no_other() -> None:
    assert _fresh(_pool_memory(), 1) == ["p0"]
    assert _fresh(_pool_memory(), 3) == ["p0", "p1"], "there are two slots"
    assert _fresh(_pool_memory(None), 3) == ["p1"], "one that is queued goes first"
    assert _fresh(_pool_memory(None), 1) == []
    assert _fresh(_pool_memory(), 0) == [], "none is made before there is a worker for it"
    assert _handed(_pool_memory(), 3).tasks == 0


def test_what_is_being_made_for_a_worker_has_its_slot() -> None:
    memory = _pool_memory()
    memory.under_way.begin(CreateTask(0, _pod("p0")))
    assert _fresh(memory, 1) == ["p0"], "one slot is left"
    memory.under_way.begin(CreateTask(1, _pod("p1")))
    assert _fresh(memory, 1) == []
    assert room_of(memory, Standings.of(memory, {})).startable == TOTAL - 2


def test_a_task_that_is_made_for_no_worker_in_particular_will_take_one() -> None:
    memory = _pool_memory()
    memory.under_way.begin(CreateTask(0))
    assert _fresh(memory, 2) == ["p0"]
    memory.under_way.begin(CreateTask(1))
    assert _fresh(memory, 2) == []


def test_what_needs_more_memory_than_a_worker_has_gets_a_pod_of_its_own() -> None:
    memory = _pool_memory(FailureClass.OUT_OF_MEMORY, FailureClass.RETRYABLE, None)
    handed = _handed(memory, 2)
    assert handed.pods == {"u0"}
    assert set(handed.hosts) == {"u1"}, "there are two slots"
    task = memory.books.tasks[0]
    evicted = Attempt(number=2, pod="p", failure=FailureClass.DISRUPTED.label)
    memory.books.tasks[0] = replace(task, attempts=(*task.attempts, evicted))
    assert _handed(memory, 2).pods == {"u0"}, "what it needs is not forgotten"


def test_a_tripped_breaker_lets_one_worker_try() -> None:
    memory = _pool_memory(None, None)
    memory.breaker.trip(0.0)
    assert not _handed(memory, 2).hosts, "not yet"
    memory.breaker.trip(-1000.0)
    assert len(_handed(memory, 2).hosts) == 1


def test_a_job_with_a_pool_wants_no_more_than_its_workers_can_do() -> None:
    """And a pod of its own for what needs more memory than they have: the rest is for others."""
    memory = _memory(0)
    for index in range(50):
        memory.books.frontier[index] = VolumeState.STARTABLE
    assert demand(memory, room_of(memory, Standings(), 0.0), launch=True).wants == 50
    spec = SPEC.model_copy(update={"pool": PoolSpec(max_workers=5)})
    memory.job = replace(memory.job, spec=spec)
    assert demand(memory, room_of(memory, Standings(), 0.0), launch=True).wants == 5
    greedy = Attempt(number=1, pod="p", failure=FailureClass.OUT_OF_MEMORY.label)
    own = TaskSeen("ns", "t", "u", 1, "j", "j", 0, TaskPhase.RETRYING, attempts=(greedy,))
    assert demand(memory, room_of(memory, Standings(retrying=[own]), 0.0), launch=True).wants == 6


def test_what_its_workers_have_left_behind_keeps_them_from_nothing() -> None:
    """Attempts that have ended and are not settled yet hold slots, and workers wait already."""
    memory = _memory(0)
    for index in range(50):
        memory.books.frontier[index] = VolumeState.STARTABLE
    spec = SPEC.model_copy(update={"pool": PoolSpec(max_workers=5)})
    memory.job = replace(memory.job, spec=spec)
    pods = [PoolPod(_pod(f"p{number}").pod, "now") for number in range(5)]
    working = [Host(pod, None, busy=number < 3) for number, pod in enumerate(pods)]
    held = Standings(held=5)
    assert (
        demand(memory, room_of(memory, held, 0.0), Pool(hosts=tuple(working)), launch=True).wants
        == 7
    )
    leaving = [Host(replace(p, pod=replace(p.pod, deleting=True)), None, busy=True) for p in pods]
    assert (
        demand(memory, room_of(memory, held, 0.0), Pool(hosts=tuple(leaving)), launch=True).wants
        == 10
    )
