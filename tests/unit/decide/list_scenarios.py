"""Short plays about a list of volumes that changes, as `scenarios` has them about the rules."""

from bec_operator.decide.sight.conditions import find
from tests.unit.decide.listing import BAD
from tests.unit.decide.plays import (
    latest_pod,
    restart,
    the_operator,
    under_way,
    until_it_runs,
)
from tests.unit.decide.scenarios import SCENARIOS, scenario
from tests.unit.decide.stage import Stage
from tests.unit.decide.world import GOOD_MARKER

__all__ = ["SCENARIOS"]  # with those from here


@scenario(volumes=3, source="manifest")
def list_changes_while_volumes_run(stage: Stage) -> None:
    until_it_runs(stage, 0)
    stage.world.change_list([3, 2, 4, 0])
    stage.let_pass([61.0] + [1.0] * 6)
    assert stage.guard.total() == 5
    stage.world.end_worker(latest_pod(stage), 65)
    stage.let_pass([1.0] * 8)
    stage.come_to_rest()


@scenario(volumes=2, source="configMap", done_before=frozenset({2}))
def operator_dies_before_the_ledger_names_the_longer_manifest(stage: Stage) -> None:
    until_it_runs(stage, 0)
    stage.world.change_list([0, 1, 2, 3])
    stage.world.tick(61.0)
    save = under_way(stage, the_operator(stage), "SaveLedger")
    stage.step(the_operator(stage), save, "answer")  # the manifest is stored
    assert stage.guard.total() == 2
    restart(stage)
    stage.let_pass([1.0] * 8)
    assert stage.guard.total() == 4


@scenario(volumes=2, source="manifest", parallelism=2)
def volume_comes_to_the_list_while_the_last_ones_run(stage: Stage) -> None:
    lives = [until_it_runs(stage, index) for index in range(2)]
    stage.world.change_list([1, 0, 2])
    for life in lives:
        stage.write(life.index, GOOD_MARKER)
        stage.world.end_worker(life, 0)
    stage.let_pass([1.0] * 8)
    assert stage.guard.total() == 3, "the volume that came last was left out"


@scenario(volumes=2, source="manifest")
def list_goes_bad_and_heals(stage: Stage) -> None:
    until_it_runs(stage, 0)
    for body in BAD:
        stage.world.list.go_bad(body)
        stage.let_pass([61.0, 3.0, 3.0])
        ready = find(stage.guard.status(), "Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("True", "ListUnreadable")
        stage.come_to_rest()
    stage.world.change_list([0, 1, 2])
    stage.let_pass([61.0] + [1.0] * 6)
    assert stage.guard.total() == 3
    stage.come_to_rest()


@scenario(volumes=1, source="items")
def job_is_edited_to_name_more_volumes(stage: Stage) -> None:
    until_it_runs(stage, 0)
    stage.world.change_list([0, 1, 2])
    stage.let_pass([0.5] * 8)
    assert stage.guard.total() == 3
    stage.come_to_rest()


@scenario(volumes=1, source="items")
def job_that_has_ended_is_given_more_volumes(stage: Stage) -> None:
    _comes_to_its_end(stage)
    stage.world.change_list([1, 0])
    stage.let_pass([1.0] * 8)
    assert not stage.guard.status().terminal
    assert stage.guard.total() == 2


@scenario(volumes=1, source="manifest")
def job_that_has_ended_is_edited_after_its_list_grew(stage: Stage) -> None:
    _comes_to_its_end(stage)
    stage.world.change_list([0, 1])
    stage.let_pass([61.0, 3.0, 3.0])
    assert stage.guard.status().terminal, "who has ended does not look"
    stage.world.correct_job()
    stage.let_pass([1.0] * 8)
    assert stage.guard.total() == 2


@scenario(volumes=1, source="manifest")
def job_that_has_ended_is_edited_and_has_nothing_new(stage: Stage) -> None:
    _comes_to_its_end(stage)
    stage.world.correct_job()
    stage.let_pass([1.0] * 8)
    status = stage.guard.status()
    assert status.terminal
    assert status.observed_generation == stage.world.job["metadata"]["generation"]
    stage.come_to_rest()


def _comes_to_its_end(stage: Stage) -> None:
    life = until_it_runs(stage)
    stage.write(0, GOOD_MARKER)
    stage.world.end_worker(life, 0)
    stage.let_pass([1.0] * 12)
    assert stage.guard.status().terminal
