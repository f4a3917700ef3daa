"""Single decisions on a pool; what comes of many is in test_pool_sim."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.job import JobSpec
from bec_operator.decide.attempts.actions import DeletePod
from bec_operator.decide.hosts.actions import DeletePool, MakePool, MarkWorker, ScalePool
from bec_operator.decide.hosts.pool import Host, Pool, PoolNotes, Workload, crashing
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod, PoolWorker
from bec_operator.decide.sight.seen import JobSeen, PodSeen, Verdict
from bec_operator.decide.slots.pool_size import dissolve, hosts_for_work, scale, wanted

NOW = 1000.0
SPEC = JobSpec.model_validate(
    {
        "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "pool": {"maxWorkers": 5, "idle": "60s"},
    }
)


def host(name: str, *, busy: bool = False, idle: float = 100.0, **seen: Any) -> Host:
    pod = PodSeen("ns", name, name, 1, "j", "", "rs", phase="Running", **seen)
    worker = PoolWorker(name, "s", 0.0, *((None, None) if busy else (NOW, NOW - idle)))
    return Host(PoolPod(pod, "now", ready=True, runs=True), worker, busy)


def of(host: Host, **fields: Any) -> Host:
    return replace(host, pod=replace(host.pod, **fields))


def pool(*hosts: Host, replicas: int | None = None, **more: Any) -> Pool:
    size = len(hosts) if replicas is None else replicas
    there = {"now": DeploymentSeen("ns", "now", "d", 1, "j", "j", size)}
    return Pool(**{"revision": "now", "deployments": there, "hosts": hosts, **more})


def decided(
    seen: Pool, startable: int = 0, notes: PoolNotes | None = None, ahead: int = 0
) -> list[Action]:
    notes = notes or PoolNotes(lowered=0.0)
    aim = wanted(SPEC, seen, notes, Workload(startable, max(startable, ahead)), launch=True)
    return list(scale(SPEC, seen, notes, aim, NOW))


def test_from_nothing() -> None:
    (made,) = decided(pool(deployments={}), 3)
    assert isinstance(made, MakePool)
    assert (made.name, made.replicas) == ("now", 3)
    assert made.why == "0 volumes under way, 3 more could start"
    assert decided(pool(deployments={})) == []


def test_who_is_on_the_way_out_is_neither_capacity_nor_surplus() -> None:
    """dask-kubernetes#633, dask-kubernetes#635: terminating workers made scaling thrash."""
    going = host("going", busy=True, deleting=True)
    (scaled,) = decided(pool(going, replicas=0), 2)
    assert isinstance(scaled, ScalePool)
    assert scaled.replicas == 2
    assert decided(pool(going, replicas=0)) == []


def test_who_has_waited_long_enough_is_marked_then_gone() -> None:
    busy, idle = host("busy", busy=True), host("idle")
    (marked,) = decided(pool(busy, idle))
    assert isinstance(marked, MarkWorker)
    assert (marked.pod.name, marked.draining) == ("idle", True)
    leaving = of(idle, draining=True)
    notes = PoolNotes(lowered=0.0, marked={"idle": NOW - 1})
    assert decided(pool(busy, leaving), notes=notes) == [], "the controller may not have seen it"
    notes.marked["idle"] = NOW - 6
    (lowered,) = decided(pool(busy, leaving), notes=notes)
    assert isinstance(lowered, ScalePool)
    assert lowered.replicas == 1


@pytest.mark.parametrize(
    "seen",
    [
        pool(host("busy", busy=True), host("new", idle=5)),  # it has not waited for long
        pool(host("busy", busy=True), host("idle"), sure=False),  # S3 does not answer
    ],
)
def test_who_stays(seen: Pool) -> None:
    assert decided(seen) == []


def test_nobody_goes_while_one_that_works_is_not_ready() -> None:
    """Its ReplicaSet would take that one first, whatever the marks say."""
    busy = of(host("busy", busy=True), ready=False)
    notes = PoolNotes(lowered=0.0, marked={"idle": 0.0})
    assert decided(pool(busy, of(host("idle"), draining=True)), notes=notes) == []


def test_a_pod_in_which_no_process_runs_goes_at_once() -> None:
    """Its workers end as soon as they begin: nobody works, and nobody will."""
    dying = of(host("dying", idle=0), runs=False)
    (marked,) = decided(pool(dying))
    assert isinstance(marked, MarkWorker)
    assert decided(pool(of(host("dying", busy=True), runs=False))) == []


def test_after_a_restart_of_ours_warm_workers_have_time_to_call() -> None:
    silent = replace(host("warm"), worker=None)
    assert decided(pool(silent), notes=PoolNotes(lowered=0.0, began=NOW - 5)) == []
    (marked,) = decided(pool(silent), notes=PoolNotes(lowered=0.0, began=NOW - 31))
    assert isinstance(marked, MarkWorker)


def test_a_worker_whose_attempt_was_ended_is_deleted_and_gets_no_more() -> None:
    verdict = Verdict(FailureClass.TOO_LONG, "it ran for 6 h")
    ended = of(host("ended", idle=1), pod=replace(host("ended").pod.pod, stopped=verdict))
    (deleted,) = decided(pool(ended), 1)
    assert isinstance(deleted, DeletePod)
    memory = Memory(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC))
    assert hosts_for_work(pool(ended), memory, SPEC, NOW) == []
    fresh = host("fresh", idle=1)
    assert hosts_for_work(pool(fresh), memory, SPEC, NOW) == [fresh]
    assert hosts_for_work(pool(of(fresh, runs=False)), memory, SPEC, NOW) == []


def test_who_is_marked_stays_if_there_is_work_again() -> None:
    leaving = of(host("idle"), draining=True)
    (kept,) = decided(pool(leaving), 1)
    assert isinstance(kept, MarkWorker)
    assert not kept.draining
    # But not while its ReplicaSet may be about to take it.
    assert decided(pool(leaving), 1, PoolNotes(lowered=NOW - 1)) == []


def test_more_than_somebody_asked_for_by_hand() -> None:
    """An HPA beside us, or kubectl scale: what is too much goes, what works stays."""
    hosts = [host("busy", busy=True), *(host(f"idle-{n}") for n in range(3))]
    marked = [action for action in decided(pool(*hosts)) if isinstance(action, MarkWorker)]
    assert sorted(action.pod.name for action in marked) == ["idle-0", "idle-1", "idle-2"]


def test_an_old_revision_only_gets_smaller() -> None:
    old = of(host("old", busy=True), pool="before")
    deployments = {"before": DeploymentSeen("ns", "before", "d", 1, "j", "j", 1)}
    (made,) = decided(pool(old, deployments=deployments), 4)
    assert isinstance(made, MakePool)
    assert made.replicas == 4
    idle = of(host("old", idle=0), pool="before")
    (marked,) = decided(pool(idle, deployments=deployments, revision=""))
    assert isinstance(marked, MarkWorker)
    empty = {"before": DeploymentSeen("ns", "before", "d", 1, "j", "j", 0)}
    (deleted,) = decided(pool(deployments=empty))
    assert isinstance(deleted, DeletePool)


def test_the_end() -> None:
    assert [type(action) for action in dissolve(pool(host("idle")))] == [DeletePool]
    assert list(dissolve(pool(host("busy", busy=True)))) == []


@pytest.mark.parametrize(("ahead", "workers"), [(60_000, 5), (100, 3), (30, 1)])
def test_workers_are_worth_their_start_as_long_as_work_is_left(ahead: int, workers: int) -> None:
    """All of it: not only what `parallelism` lets begin at once."""
    notes = PoolNotes(task_seconds=3.0, ready_seconds=120.0)
    assert wanted(SPEC, pool(), notes, Workload(30, ahead), launch=True).workers == workers


def test_who_ends_again_and_again_before_any_work_is_told_of() -> None:
    broken = of(replace(host("a"), worker=None), restarts=3)
    fresh = PoolNotes(lowered=0.0)
    fresh.observe([broken], NOW)
    assert crashing(pool(broken), fresh) == [broken]
    for well in (host("b"), host("c", busy=True)):
        assert crashing(pool(broken, well), fresh) == []
    assert crashing(pool(of(broken, restarts=2)), fresh) == []
    assert crashing(pool(of(broken, pool="before")), fresh) == []


def test_what_ended_before_it_did_well_or_before_we_began_counts_no_more() -> None:
    """A worker that loads its model again, after its volumes have killed it, crashes not."""
    reloading = of(host("a"), restarts=3)
    reloading = replace(reloading, worker=PoolWorker("a", "next", NOW))
    before = PoolNotes(lowered=0.0)
    before.observe([of(host("a", busy=True), restarts=3)], NOW)
    before.observe([reloading], NOW)
    assert crashing(pool(reloading), before) == []
    assert crashing(pool(of(reloading, restarts=6)), before) != []
    after_us = PoolNotes()
    after_us.observe([reloading], NOW)
    assert crashing(pool(reloading), after_us) == []
