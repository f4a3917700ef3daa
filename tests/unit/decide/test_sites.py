"""Which volumes may be begun where, and when."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.job import JobPhase, JobSpec
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.hosts.pool import Host
from bec_operator.decide.lists.growth import tell_of_list
from bec_operator.decide.memory.marker_findings import let_time_pass
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import Fact, JobSeen, ListSeen, PodSeen, TaskSeen
from bec_operator.decide.slots.filling import Launches
from bec_operator.decide.slots.next_volumes import new_tasks
from bec_operator.decide.slots.sites import (
    count_for_pods,
    for_pods,
    may_go_to,
    may_have_pod,
    share_out,
    volumes_for,
)
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_ops.contract.volume import Volume

CERN = {"name": "cern", "nodeSelector": {"zone": "cern"}}
DESK = {"name": "desk", "outside": True}
PATIENCE = 600.0
ALL = 100
# 0 desk, 1 cern, 2 none, 3 lyon (which no Job names), 4 desk, 5 cern, 6 none
SITES = ["desk", "cern", "", "lyon", "desk", "cern", ""]


def memory_of(*of: dict[str, Any], policy: str = "Prefer", sites: list[str] = SITES) -> Memory:
    """A job whose volumes have these sites, and could all start."""
    spec = JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": "b"},
            "outside": {"allowed": True},
            **({"sites": {"policy": policy, "of": [*of]}} if of else {}),
        }
    )
    memory = Memory(JobSeen("ns", "ocr", "uid", 1, 1, "2026", spec))
    volumes = [SitedVolume.at(Volume("W1", f"I{n}"), site) for n, site in enumerate(sites)]
    memory.load(VolumeList.of(volumes), [f"{v}/" for v in volumes], Ledger.fresh("s", 7), 0.0)
    let_time_pass(memory, 0.0)
    memory.books.frontier.turn(VolumeState.UNCHECKED, VolumeState.STARTABLE)
    return memory


def wait(memory: Memory, until: float) -> None:
    """Let passes be made every five seconds."""
    now = 0.0
    while now < until:
        now += 5
        let_time_pass(memory, now)


def test_a_worker_gets_those_of_its_site_first_and_others_late() -> None:
    memory = memory_of(CERN, DESK)
    assert volumes_for(memory, "desk", 0.0, ALL) == [0, 4, 2, 3, 6]
    assert volumes_for(memory, "cern", 0.0, ALL) == [1, 5, 2, 3, 6]
    assert volumes_for(memory, "lyon", 0.0, ALL) == [3, 2, 6]
    assert volumes_for(memory, "", 0.0, ALL) == [2, 3, 6]
    assert volumes_for(memory, "desk", 0.0, 3) == [0, 4, 2]

    wait(memory, PATIENCE - 5)
    assert volumes_for(memory, "desk", PATIENCE, ALL) == [0, 4, 2, 3, 6]
    wait(memory, 1.25 * PATIENCE)

    assert volumes_for(memory, "desk", PATIENCE, ALL) == [0, 4, 2, 3, 6, 1, 5]
    assert volumes_for(memory, "nowhere", PATIENCE, ALL) == [2, 3, 6, 0, 1, 4, 5]


def test_pods_get_those_of_sites_outside_late() -> None:
    memory = memory_of(CERN, DESK)
    assert for_pods(memory, 0.0, ALL) == [1, 2, 3, 5, 6]
    assert for_pods(memory, 0.0, 2) == [1, 2]
    assert count_for_pods(memory) == 5

    wait(memory, 1.25 * PATIENCE)

    assert for_pods(memory, PATIENCE, ALL) == [1, 2, 3, 5, 6, 0, 4]
    assert count_for_pods(memory) == 7


def test_what_is_required_is_never_done_elsewhere() -> None:
    memory = memory_of(CERN, DESK, policy="Require")
    wait(memory, 10 * PATIENCE)
    assert for_pods(memory, PATIENCE, ALL) == [1, 2, 3, 5, 6]
    assert count_for_pods(memory) == 5
    assert volumes_for(memory, "desk", PATIENCE, ALL) == [0, 4, 2, 3, 6]
    assert volumes_for(memory, "", PATIENCE, ALL) == [2, 3, 6]


@pytest.mark.parametrize("sites", [SITES, [""] * 7])
def test_a_job_that_names_no_site_has_its_volumes_done_anywhere(sites: list[str]) -> None:
    memory = memory_of(sites=sites)
    assert for_pods(memory, 0.0, ALL) == list(range(7))
    assert volumes_for(memory, "", 0.0, 4) == [0, 1, 2, 3]
    assert sorted(volumes_for(memory, "desk", 0.0, ALL)) == list(range(7))
    assert count_for_pods(memory) == 7


def test_what_is_under_way_or_blocked_is_left_out() -> None:
    for memory in (memory_of(CERN, DESK), memory_of(sites=[""] * 7)):
        memory.under_way.begin(CreateTask(2))
        memory.books.block(3, Fact(0.0, "PodNameTaken", "it is taken"))
        memory.books.frontier[5] = VolumeState.ACTIVE
        assert not {2, 3, 5} & set(for_pods(memory, 0.0, ALL))
        assert not {2, 3, 5} & set(volumes_for(memory, "cern", 0.0, ALL))
        assert {1, 6} <= set(for_pods(memory, 0.0, 4))


def test_tasks_are_made_of_volumes_that_pods_may_have() -> None:
    memory = memory_of(CERN, DESK, policy="Require")
    made = list(new_tasks(memory, Launches(tasks=ALL), 0.0))
    assert [action.index for action in made if isinstance(action, CreateTask)] == [1, 2, 3, 5, 6]


def test_each_worker_gets_a_volume_that_it_may_have_and_pods_the_rest() -> None:
    memory = memory_of(CERN, DESK)
    hosts = [_worker("desk"), _worker("cern"), _worker("desk"), _worker("", pool="p"), _worker("")]
    given = list(share_out(memory, hosts, ALL, 0.0))
    expected = [*zip([0, 1, 4, 2, 3], hosts, strict=True), (5, None), (6, None)]
    assert given == expected
    hosts = [_worker("desk")] * 6
    assert [index for index, _ in share_out(memory, hosts, 1, 0.0)] == [0, 4, 2, 3, 6, 1]
    assert list(share_out(memory, [], 0, 0.0)) == []

    made = new_tasks(memory, Launches(tasks=2, fresh=(_worker("desk"), _worker("desk"))), 0.0)
    indices = [action.index for action in made if isinstance(action, CreateTask)]
    assert indices == [0, 4, 1, 2]


def _worker(site: str, pool: str = "") -> Host:
    pod = PodSeen("ns", "w", "w-uid", 1, "ocr", "", "", "Running")
    host = PoolPod(pod, pool, ready=True, guarded=True, runs=True, site=site)
    return Host(host, PoolWorker("w-uid", "s", 0.0), busy=False)


def test_the_next_attempt_waits_for_its_site_as_well() -> None:
    memory = memory_of(CERN, DESK)
    task = TaskSeen("ns", "t", "u", 1, "ocr", "uid", index=0)
    failed = Attempt(number=1, pod="t-1", failure=FailureClass.RETRYABLE.label)
    again = replace(task, attempts=(failed,), next_attempt=100.0)
    assert may_have_pod(memory, task, 0.0), "as a volume it has waited"
    assert not may_have_pod(memory, again, 100.0)
    assert not may_go_to(memory, again, "cern", 100.0)
    assert may_go_to(memory, again, "desk", 100.0)
    assert may_have_pod(memory, again, 100.0 + PATIENCE)
    assert may_go_to(memory, again, "cern", 100.0 + PATIENCE)
    assert may_have_pod(memory, replace(again, index=1), 100.0), "its pod goes there"
    assert not may_go_to(memory, replace(again, index=1), "desk", 100.0)
    for index in (2, 3):
        assert may_have_pod(memory, replace(again, index=index), 100.0)
        assert may_go_to(memory, replace(again, index=index), "desk", 100.0)

    memory = memory_of(CERN, DESK, policy="Require")
    for each in (task, again):
        assert not may_have_pod(memory, each, 1e9)
        assert may_go_to(memory, each, "desk", 1e9)
        assert not may_go_to(memory, each, "", 1e9)


def test_sites_that_nobody_names_are_told() -> None:
    memory = memory_of(CERN)
    said = (
        "so far; 3 volumes have a site that spec.sites does not name (desk, lyon); they are done "
        "anywhere"
    )
    verdict = ("Running", "so far")
    assert tell_of_list(memory, JobPhase.RUNNING, verdict) == ("Running", said)
    assert tell_of_list(memory, JobPhase.COMPLETE, verdict) == verdict
    named = memory_of(CERN, DESK, sites=["desk", "cern"])
    assert tell_of_list(named, JobPhase.RUNNING, verdict) == verdict
    named.books.note_list(ListSeen(0.0, 1, settled=0, moved=1), None)
    assert tell_of_list(named, JobPhase.RUNNING, verdict)[1] == (
        "so far; 1 volume has another site in the list now; the one that it came with counts"
    )
