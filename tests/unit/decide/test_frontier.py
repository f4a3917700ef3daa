"""The frontier: which volumes could get a task."""

from bec_operator.decide.volumes.frontier import Frontier, VolumeState


def test_volumes_are_found_in_manifest_order() -> None:
    frontier = Frontier(6, settled=[0, 3])
    for index in (1, 2, 5):
        frontier[index] = VolumeState.STARTABLE
    assert frontier.first(VolumeState.STARTABLE, 2) == [1, 2]
    assert frontier.first(VolumeState.STARTABLE, 9) == [1, 2, 5]
    assert frontier.first(VolumeState.STARTABLE, 0) == []
    assert frontier.first(VolumeState.STARTABLE, -3) == []
    assert frontier[3] is VolumeState.SETTLED
    assert frontier.count(VolumeState.UNCHECKED) == 1
    frontier.lengthen(2)
    assert frontier.first(VolumeState.UNCHECKED, 9) == [4, 6, 7]
