"""The frontier: which volumes could get a task."""

from bec_operator.decide.volumes.frontier import Frontier, Look


def test_volumes_are_found_in_manifest_order() -> None:
    frontier = Frontier(6, settled=[0, 3])
    for index in (1, 2, 5):
        frontier[index] = Look.STARTABLE
    assert frontier.first(Look.STARTABLE, 2) == [1, 2]
    assert frontier.first(Look.STARTABLE, 9) == [1, 2, 5]
    assert frontier.first(Look.STARTABLE, 0) == []
    assert frontier.first(Look.STARTABLE, -3) == []
    assert frontier[3] is Look.SETTLED
    assert frontier.count(Look.UNCHECKED) == 1
    frontier.lengthen(2)
    assert frontier.first(Look.UNCHECKED, 9) == [4, 6, 7]
