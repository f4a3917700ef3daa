"""Which nodes the pods of a pool do not go to: never so many that none is left."""

from dataclasses import replace

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.at_fault import AVOIDED, PLACED_WITHIN, Hosts
from bec_operator.decide.hosts.pool import Host
from tests.unit.decide.test_blame import NOW, failed
from tests.unit.decide.test_scaling import host, of, pool

WELL = host("w2", node="n2")


def starting(name: str, node: str = "") -> Host:
    """Return a pod without a process that has called; without a node, too, if none is named."""
    return replace(of(host(name, node=node), runs=bool(node)), worker=None)


def look(known: Hosts, now: float, *hosts: Host) -> tuple[str, ...]:
    known.observe([], {}, pool(*hosts), now, more_workers=True)
    return known.of_pool


def condemned() -> Hosts:
    """Return what is known once node n1 failed two volumes that were done on n2."""
    known = Hosts()
    for index in (1, 2):
        known.note_failure(index, failed(1, f"old-{index}", "n1"), NOW)
        done = Attempt(number=2, pod="w2", pod_uid="w2", node="n2", session="s")
        known.note_success(index, done, NOW)
    assert look(known, NOW, WELL) == ("n1",)
    return known


def drive(known: Hosts, now: float, until: float, *hosts: Host) -> float:
    """Look each ten seconds, and return when no node was avoided any more."""
    while look(known, now, *hosts):
        now += 10.0
        assert now <= until, f"avoids {known.of_pool} for ever"
    return now


def test_a_node_stays_avoided_while_others_work() -> None:
    """Another choice would send them away, and their models with them."""
    known = condemned()
    for after in range(0, int(AVOIDED[1]), 10):
        assert look(known, NOW + after, WELL) == ("n1",)
    assert not known.shunned(NOW + AVOIDED[1])
    assert look(known, NOW + AVOIDED[1]) == (), "nobody is left to be sent away"


def test_any_node_is_better_than_none() -> None:
    """n1 is repaired, n2 is drained: the pod of the pool has nowhere else to go."""
    known, later = condemned(), NOW + AVOIDED[0] + 1000.0
    assert look(known, later, WELL) == ("n1",)
    over = drive(known, later, later + 2 * PLACED_WITHIN, starting("w3"))
    assert over - later >= PLACED_WITHIN - 10.0, "an autoscaler may bring a node"


def test_nowhere_else_to_go_counts_within_its_time_too() -> None:
    known = condemned()
    over = drive(known, NOW, NOW + 2 * PLACED_WITHIN, starting("w3"))
    assert known.shunned(over) == ["n1"]
    broken = host("w3", node="n1")
    assert look(known, over + 10.0, broken) == (), "it is the only node"
    assert look(known, over + 20.0, broken, starting("w4", "n2")) == ("n1",)


def test_without_a_worker_a_node_is_avoided_for_its_time_only() -> None:
    """A pod that never comes so far as to call may be on a node that is worse."""
    known = condemned()
    over = drive(known, NOW, NOW + 2 * AVOIDED[0], starting("w3", "n3"))
    assert over == NOW + AVOIDED[0]
