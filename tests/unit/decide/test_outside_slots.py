"""What workers from elsewhere get, beside the pods of a job."""

from dataclasses import replace

from bec_operator.api.job import JobSpec
from bec_operator.api.outside import Outside
from bec_operator.api.sites import Sites
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import CreateTask, HandTask
from bec_operator.decide.hosts.outside import outside_host
from bec_operator.decide.hosts.pool import Host
from bec_operator.decide.jobs.launches import next_launches
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.snapshots import snapshot_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import PoolWorker
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen
from bec_operator.decide.slots.filling import Launches
from bec_operator.decide.slots.next_volumes import new_tasks
from bec_operator.decide.slots.room import demand
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_ops.contract.volume import Volume
from tests.unit.decide.steps import room_of

NOW = 1.0
SPEC = JobSpec.model_validate(
    {
        "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "parallelism": 10,
    }
)


def memory_of(*failures: FailureClass | None, **outside: object) -> Memory:
    """A job of 100 volumes, with a task each: due again after this failure, or not yet tried."""
    told = Outside.model_validate({"allowed": True, **outside})
    spec = SPEC.model_copy(update={"outside": told})
    memory = Memory(JobSeen("ns", "j", "uid-j", 1, 1, "2026-01", spec))
    volumes = [Volume("W1", f"I{number}") for number in range(100)]
    memory.load(volumes, [f"{v}/" for v in volumes], Ledger.fresh("sha", 100), 0.0)
    for index, failure in enumerate(failures):
        attempts = (Attempt(number=1, pod="p", failure=failure.label),) if failure else ()
        memory.books.tasks[index] = TaskSeen(
            "ns", f"t{index}", f"u{index}", 1, "j", "uid-j", index, attempts=attempts
        )
    for index in range(100):
        active = index in memory.books.tasks
        memory.books.frontier[index] = VolumeState.ACTIVE if active else VolumeState.STARTABLE
    return memory


def asking(number: int) -> tuple[Host, ...]:
    """So many workers from elsewhere that wait for work."""
    workers = [PoolWorker(f"w{n}", "s", 0.0, NOW, NOW - n) for n in range(number)]
    return tuple(
        Host(outside_host("ns", "j", w.pod_uid, w.pod_uid, 300.0), w, busy=False) for w in workers
    )


def launched(
    memory: Memory, workers: int, standings: Standings | None = None, allowed: int = 100
) -> Launches:
    """Return what is launched while so many workers ask."""
    standings = standings or Standings.of(memory, {})
    room = room_of(memory, standings, NOW, allowed)
    seen = Scene(memory, {}, NOW, standings=standings, room=room, outside=asking(workers))
    return next_launches(seen, launch=True)[1]


def test_who_asks_comes_before_pods_that_are_yet_to_be_made() -> None:
    got = launched(memory_of(), 3)
    assert [host.pod.name for host in got.fresh] == ["w2", "w1", "w0"], "who waited longest first"
    assert got.tasks == 7


def test_a_retry_that_is_due_goes_first() -> None:
    got = launched(memory_of(FailureClass.RETRYABLE, None), 2)
    assert set(got.hosts) == {"u0", "u1"}
    assert not got.pods
    assert not got.fresh


def test_at_most_so_many_at_once() -> None:
    assert len(launched(memory_of(max=2), 5).fresh) == 2
    held = Standings(held=2, outside=2)
    assert not launched(memory_of(max=2), 5, held).fresh
    assert len(launched(memory_of(max=3), 5, held).fresh) == 1


def test_they_need_no_pods_and_take_none_from_others() -> None:
    memory, held = memory_of(), Standings(held=6, outside=4)
    got = launched(memory, 5, held, allowed=2)
    assert len(got.fresh) == 4, "of parallelism 10, six are taken"
    assert got.tasks == 0, "no pod is allowed beside the two that there are"
    wanted = demand(memory, room_of(memory, held, NOW), launch=True)
    assert (wanted.holds, wanted.wants) == (2, 10)


def test_a_job_for_them_only() -> None:
    memory = memory_of(only=True)
    got = launched(memory, 1)
    assert len(got.fresh) == 1
    assert (got.tasks, got.pods) == (0, frozenset())
    assert demand(memory, room_of(memory, Standings(), NOW), launch=True).wants == 0


def test_where_it_is_not_allowed_they_get_nothing() -> None:
    assert not launched(memory_of(allowed=False), 3).fresh


def test_what_needs_more_memory_goes_to_a_pod_if_there_may_be_one() -> None:
    assert launched(memory_of(FailureClass.OUT_OF_MEMORY), 1).pods == {"u0"}
    assert set(launched(memory_of(FailureClass.OUT_OF_MEMORY, only=True), 1).hosts) == {"u0"}


def test_while_the_job_has_tripped_its_pods_try() -> None:
    memory = memory_of(None, None)
    memory.breaker.trip(-1000.0)
    got = launched(memory, 3)
    assert not got.hosts
    assert len(got.pods) == 1
    alone = memory_of(None, None, only=True)
    alone.breaker.trip(-1000.0)
    got = launched(alone, 3)
    assert len(got.hosts) == 1
    assert not got.fresh


def test_who_is_at_fault_gets_nothing_more() -> None:
    memory = memory_of()
    for index in range(4):
        ended = Attempt(
            number=1,
            pod="w0",
            pod_uid=f"w0/{index}",
            session="s",
            lease_seconds=300.0,
            failure=FailureClass.RETRYABLE.label,
        )
        memory.books.hosts.note_failure(index, ended, NOW)
    assert [host.pod.name for host in launched(memory, 2).fresh] == ["w1"]


def test_one_that_is_being_given_is_given_once() -> None:
    memory = memory_of(None)
    host = asking(1)[0]
    assert host.worker is not None
    memory.under_way.begin(HandTask(memory.books.tasks[0], 1, host.pod, host.worker))
    got = launched(memory, 1)
    assert not got.hosts
    assert not got.pods, "nor does it get a pod beside"
    assert Standings.of(memory, {}).outside == 1
    memory.under_way.begin(CreateTask(5, host.pod, host.worker))
    assert Standings.of(memory, {}).held == 2


def test_a_task_with_a_seat_elsewhere_holds_a_slot_and_no_pod() -> None:
    memory = memory_of(None)
    seat = PodSeen("ns", "t0-1", "w0", 1, "j", "t0", "u0", phase="Running", lease=300.0)
    found = Standings.of(memory, {seat.name: seat})
    assert (found.held, found.outside) == (1, 1)


def test_others_are_told_who_works_elsewhere() -> None:
    memory = memory_of(None)
    host = outside_host("ns", "j", "w0", "desk", 300.0)
    seat = replace(host.pod, name="t0-1", owner_uid="u0", task="t0", seat_in=host.name)
    seen = Scene(memory, {seat.name: seat}, NOW, standings=Standings.of(memory, {seat.name: seat}))
    told = snapshot_of(seen)
    assert [(worker.pod, worker.in_pool) for worker in told.workers] == [("desk", False)]
    assert [under_way.running is not None for under_way in told.under_way] == [True]


DESK = {"policy": "Require", "of": [{"name": "desk", "outside": True}]}


def sited(memory: Memory, policy: str = "Require") -> Memory:
    """The same job, whose volumes are for the site `desk`."""
    assert memory.job.spec is not None
    sites = Sites.model_validate({**DESK, "policy": policy})
    spec = memory.job.spec.model_copy(update={"sites": sites})
    other = Memory(replace(memory.job, spec=spec))
    volumes = [SitedVolume.at(Volume("W1", f"I{n}"), "desk") for n in range(10)]
    other.load(VolumeList.of(volumes), [f"{v}/" for v in volumes], Ledger.fresh("sha", 10), 0.0)
    other.books.tasks.update(memory.books.tasks)
    for index in range(10):
        active = index in other.books.tasks
        other.books.frontier[index] = VolumeState.ACTIVE if active else VolumeState.STARTABLE
    return other


def test_what_is_for_a_site_outside_gets_no_pod_and_no_other_worker() -> None:
    memory = sited(memory_of(FailureClass.RETRYABLE))
    got = launched(memory, 1)
    assert (got.pods, dict(got.hosts)) == (frozenset(), {}), "this one is nowhere"
    assert not list(new_tasks(memory, got, NOW))
    assert demand(memory, room_of(memory, Standings.of(memory, {}), NOW), launch=True).wants == 0
    (host,) = asking(1)
    there = (replace(host, pod=replace(host.pod, site="desk")),)
    standings = Standings.of(memory, {})
    room = room_of(memory, standings, NOW)
    seen = Scene(memory, {}, NOW, standings=standings, room=room, outside=there)
    assert set(next_launches(seen, launch=True)[1].hosts) == {"u0"}
