"""Pools over ten hours of load: nobody who works is sent away, and little is paid for nothing."""

import logging
import random

import pytest

from bec_operator.api.job import JobSpec
from tests.unit.decide.pool_world import ChaosWorld, KedaWorld, Load, PoolWorld

log = logging.getLogger(__name__)

HOURS = 10 * 3600.0
JOBS, CHUNK = 200, 50


def _spec(**pool: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": "b"},
            "pool": {"maxWorkers": 20, "idle": "60s", **pool},
        }
    )


def _load(rng: random.Random) -> Load:
    """Tasks that all could start at once, or that come as a gate opens, now and then."""
    tasks = rng.randint(10, 500)
    at_once = rng.random() < 0.5
    rate = tasks / rng.uniform(600, 7200)
    arrivals, moment = [], 0.0
    for _ in range(tasks):
        moment += 0.0 if at_once else rng.expovariate(rate)
        arrivals.append(moment)
    mean = rng.choice([2.0, 10.0, 60.0])
    return Load(arrivals, [rng.expovariate(1 / mean) + 0.5 for _ in range(tasks)])


@pytest.mark.parametrize("first", range(0, JOBS, CHUNK))
def test_ten_hours_of_two_hundred_jobs(first: int) -> None:
    """keda#6719, dask-kubernetes#807, dask-kubernetes#633: rule 8, and zero every time."""
    spec = _spec()
    ours, theirs = [], []
    for seed in range(first, first + CHUNK):
        load = _load(random.Random(seed))
        ours.append(PoolWorld(spec, load, random.Random(seed)).run(HOURS))
        theirs.append(KedaWorld(spec, load, random.Random(seed)).run(HOURS))
        assert ours[-1].done == len(load.arrivals)
        assert ours[-1].left == 0
        assert ours[-1].busy_stopped == 0
        assert ours[-1].too_many == 0
    idle, others = (sum(score.idle_seconds for score in scores) for scores in (ours, theirs))
    log.info("idle worker-seconds of %d jobs: %.0f, by queue length %.0f", CHUNK, idle, others)
    log.info("busy workers stopped by queue length: %d", sum(s.busy_stopped for s in theirs))
    assert idle < others / 2


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_it(seed: int) -> None:
    """Operators that die in the middle of a drain, numbers set by hand, pods deleted at random."""
    rng = random.Random(seed)
    load = _load(rng)
    pool = {"minWorkers": rng.choice([0, 2]), "tasksPerWorker": rng.choice([0, 3])}
    score = ChaosWorld(_spec(**pool), load, rng).run(HOURS)
    assert (score.done, score.left, score.busy_stopped) == (len(load.arrivals), 0, 0)


def test_workers_that_are_to_stay_stay() -> None:
    world = PoolWorld(_spec(minWorkers=3), Load([0.0, 900.0], [1.0, 1.0]), random.Random(1))
    world.run(800)
    assert len(world.workers) == 3
    score = world.run(HOURS)
    assert (score.done, score.left) == (2, 0)


def test_a_worker_is_replaced_after_so_many_tasks() -> None:
    world = PoolWorld(
        _spec(maxWorkers=1, tasksPerWorker=4), Load([0.0] * 10, [2.0] * 10), random.Random(1)
    )
    score = world.run(HOURS)
    assert (score.done, score.left, world.born) == (10, 0, 3)


def test_no_more_workers_than_their_start_is_worth() -> None:
    """A hundred tasks of a second each: who takes half a minute to start comes too late."""
    spec = _spec(maxWorkers=50).model_copy(update={"parallelism": 500})
    world = PoolWorld(spec, Load([0.0] * 4000, [1.0] * 4000), random.Random(1))
    world.memory.pool.ready_seconds, world.memory.pool.task_seconds = 30.0, 1.0
    world.waiting = [1.0] * 100
    world.to_come = []
    world.step()
    assert world.replicas == 4


def test_a_long_list_of_short_tasks_keeps_all_workers() -> None:
    """Twenty workers that need half a minute to start, and 6,000 tasks of two seconds."""
    load = Load([0.0] * 6000, [2.0] * 6000)
    score = PoolWorld(_spec(), load, random.Random(1)).run(HOURS)
    assert score.done == 6000
    assert score.ended < 6000 * 2 / 20 + 120
