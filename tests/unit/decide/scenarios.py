"""What once went wrong, or could: short plays on the stage, the same each time.

Each passes on its own, and breaks a rule under the mutation that `test_mutations` names with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.unit.decide.calling import done, failed, heartbeat
from tests.unit.decide.deeds import SET_UP_WRONGLY
from tests.unit.decide.plan import SHORT, Plan
from tests.unit.decide.plays import (
    latest_pod,
    restart,
    task_of,
    the_operator,
    under_way,
    until_it_calls,
    until_it_runs,
    until_made,
)
from tests.unit.decide.process import JOB
from tests.unit.decide.stage import Stage
from tests.unit.decide.world import GOOD_MARKER, Life

Play = Callable[[Stage], None]


@dataclass(frozen=True)
class Scenario:
    """A play, and the Job that it is about."""

    plan: Plan
    play: Play

    def run(self) -> None:
        """Play it, and what is left of the Job after it."""
        stage = Stage(self.plan)
        self.play(stage)
        stage.play_to_the_end()


SCENARIOS: dict[str, Scenario] = {}


def scenario(**plan: Any) -> Callable[[Play], Play]:
    """Add a play; by default it is about one volume."""

    def add(play: Play) -> Play:
        SCENARIOS[play.__name__] = Scenario(Plan(**{"volumes": 1, **plan}), play)
        return play

    return add


# --- rule 1: S3 is the truth


@scenario(limit=1)
def marker_comes_after_a_look(stage: Stage) -> None:
    life = until_it_runs(stage)
    stage.let_pass([61.0, 1.0])  # a look shows none
    stage.write(0, GOOD_MARKER)
    stage.world.end_worker(life, 1)
    stage.let_pass([1.0] * 4)


@scenario()
def pod_comes_and_goes_while_no_operator_lives(stage: Stage) -> None:
    stage.step(the_operator(stage), under_way(stage, the_operator(stage), "CreatePod"), "out")
    stage.kill(the_operator(stage))
    _works_unseen(stage)
    stage.start()
    stage.let_pass([1.0] * 4)


@scenario()
def pod_comes_and_goes_between_two_passes(stage: Stage) -> None:
    stage.step(the_operator(stage), under_way(stage, the_operator(stage), "CreatePod"), "answer")
    _works_unseen(stage)
    stage.let_pass([1.0] * 4)


@scenario()
def pod_comes_and_goes_and_its_answer_is_lost(stage: Stage) -> None:
    doing = under_way(stage, the_operator(stage), "CreatePod")
    stage.step(the_operator(stage), doing, "out")
    stage.step(the_operator(stage), doing, "lost")
    _works_unseen(stage)
    stage.let_pass([1.0] * 4)


def _works_unseen(stage: Stage) -> None:
    life = latest_pod(stage)
    stage.world.start(life)
    stage.write(0, GOOD_MARKER)
    stage.world.end_worker(life, 0)
    stage.world.remove_pod(life)


@scenario(limit=1)
def s3_forbids_the_look_after_the_end(stage: Stage) -> None:
    life = until_it_runs(stage)
    stage.write(0, GOOD_MARKER)
    stage.world.end_worker(life, 1)
    look = under_way(stage, the_operator(stage), "ReadMarker")
    stage.world.store.trouble = "Forbidden"
    stage.step(the_operator(stage), look, "answer")
    stage.world.store.trouble = None
    stage.let_pass([1.0] * 8)
    stage.let_pass([10.0] * 4)


@scenario(limit=1)
def store_shows_the_marker_late(stage: Stage) -> None:
    """data-fair/data-fair#402, treeverse/dvc#3341: some answer 404 for a while after a PUT."""
    life = until_it_runs(stage)
    stage.world.end_worker(life, 0)
    stage.let_pass([5.0] * 5)
    stage.write(0, GOOD_MARKER)
    stage.let_pass([1.0] * 8)
    assert stage.guard.status().counts.succeeded == 1


@scenario(limit=9, volumes=3, parallelism=3)
def three_volumes_end_with_an_exit_code_of_set_up_wrongly(stage: Stage) -> None:
    for number in range(3):
        assert not stage.guard.misconfigured
        stage.world.end_worker(until_it_runs(stage, number), 78)
        stage.let_pass([1.0] * (2 if number < 2 else 6))
    assert stage.guard.misconfigured
    stage.world.correct_job()


@scenario()
def worker_says_done_and_is_not(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.call(the_operator(stage), teller, done(teller))
    stage.let_pass([1.0] * 4)
    stage.world.end_worker(teller.life, 0)
    stage.let_pass([1.0] * 4)


# --- rule 2: one live pod per task


@scenario(limit=3)
def task_is_made_anew_beside_an_old_pod(stage: Stage) -> None:
    first = until_it_runs(stage)
    stage.world.end_worker(first, 1)
    until_it_runs(stage)
    stage.world.remove_pod(first)
    stage.world.delete("volumetasks", task_of(stage))
    stage.let_pass([1.0] * 6)


@scenario()
def one_operator_makes_what_another_calls_gone(stage: Stage) -> None:
    late = the_operator(stage)
    stage.world.delete("pods", until_made(stage).name)
    late.hear_all()
    stage.look(late)  # it is missed, and looked for
    stage.start()
    early = stage.operators[-1]
    stage.step(early, under_way(stage, early, "CreatePod"), "answer")
    stage.world.start(latest_pod(stage))
    for _ in range(4):  # without having heard of the new pod
        while late.under_way:
            stage.step(late, late.under_way[0], "answer")
        stage.look(late)


@scenario()
def node_is_lost_and_its_zombie_comes_back(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.world.lose_node(teller.life.node)
    stage.let_pass([20.0] * 21)
    assert teller.life.zombie, "its pod is still there"
    second = until_it_runs(stage)
    for about in (teller.life, second):
        stage.call(the_operator(stage), teller, failed(teller, "Terminal", about))
        stage.let_pass([1.0])
    stage.world.bring_back(teller.life.node)
    stage.let_pass([1.0] * 4)
    assert second.busy


@scenario()
def node_is_away_for_a_moment(stage: Stage) -> None:
    life = until_it_runs(stage)
    stage.world.lose_node(life.node)
    stage.let_pass([20.0] * 13)
    stage.world.bring_back(life.node)
    stage.let_pass([20.0] * 13)
    stage.world.remove_pod(life)
    stage.let_pass([1.0] * 4)


@scenario(timeouts=SHORT)
def worker_is_silent_since_its_node_is_lost(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.let_pass([1.0] * 50)
    assert teller.life.verdict is not None
    stage.world.lose_node(teller.life.node, gone=True)
    stage.let_pass([20.0] * 10)
    assert stage.guard.last_failure(0) == "NodeLost"


# --- rule 3: a stale attempt can fail nothing


@scenario()
def report_is_about_another_attempt(stage: Stage) -> None:
    first = until_it_runs(stage)
    stage.world.end_worker(first, 1)
    teller = until_it_calls(stage)
    stage.call(the_operator(stage), teller, failed(teller, "Terminal", first))
    stage.world.delete("pods", teller.life.name)
    stage.world.remove_pod(teller.life)
    stage.let_pass([1.0] * 4)


@scenario()
def report_comes_after_the_next_attempt_began(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.world.end_worker(teller.life, 1)
    second = until_it_runs(stage)
    for about in (teller.life, second):
        stage.call(the_operator(stage), teller, failed(teller, "Terminal", about))
    stage.let_pass([1.0] * 4)


@scenario(limit=3)
def pod_is_gone_before_its_end_is_seen(stage: Stage) -> None:
    """It is judged by the worker's last word: how it really ended nobody can know."""
    teller = until_it_calls(stage)
    stage.call(the_operator(stage), teller, failed(teller, "Retryable"))
    stage.world.end_worker(teller.life, 0)
    stage.world.remove_pod(teller.life)
    stage.let_pass([1.0] * 4)
    assert stage.guard.last_failure(0) == "Retryable"


@scenario()
def report_is_of_a_process_that_was_replaced(stage: Stage) -> None:
    life = until_it_runs(stage)
    fence = stage.guard.fence
    old, new = fence.teller(life), fence.teller(life, new=True)
    for teller in (old, new):
        stage.register(the_operator(stage), teller)
    stage.call(the_operator(stage), old, failed(old, "Terminal"))
    stage.call(the_operator(stage), new, heartbeat(new))
    stage.world.delete("pods", life.name)
    stage.world.remove_pod(life)
    stage.let_pass([1.0] * 4)


@scenario()
def zombie_reports(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.world.remove_pod(teller.life, runs_on=True)
    second = until_it_runs(stage)
    for about in (teller.life, second):
        stage.call(the_operator(stage), teller, failed(teller, "Terminal", about))
        stage.let_pass([1.0])
    stage.world.remove_pod(second)
    stage.let_pass([1.0] * 4)


@scenario(timeouts=SHORT)
def worker_never_calls(stage: Stage) -> None:
    until_it_runs(stage)
    stage.let_pass([30.0] * 8)


@scenario(timeouts=SHORT)
def operator_is_away_for_longer_than_a_worker_may_be(stage: Stage) -> None:
    teller = until_it_calls(stage)
    stage.let_pass([5.0] * 3)
    stage.kill(the_operator(stage))
    stage.world.tick(60.0)
    stage.start()
    stage.let_pass([5.0] * 3)
    stage.register(the_operator(stage), teller)
    stage.let_pass([5.0] * 3)


@scenario(timeouts=SHORT)
def worker_gets_something_done_just_in_time(stage: Stage) -> None:
    teller = until_it_calls(stage)
    for _ in range(5):
        stage.let_pass([15.0, 15.0])
        stage.call(the_operator(stage), teller, heartbeat(teller))


@scenario(timeouts=SHORT)
def operator_dies_between_verdict_and_deletion(stage: Stage) -> None:
    life = _silent_for_long(stage)
    stop = under_way(stage, the_operator(stage), "StopPod")
    stage.step(the_operator(stage), stop, "out")
    assert life.verdict is not None
    restart(stage)
    stage.world.end_worker(life, 0)
    stage.let_pass([1.0] * 4)


def _silent_for_long(stage: Stage) -> Life:
    begun = until_it_calls(stage).life
    stage.let_pass([1.0, 1.0])
    stage.world.tick(SHORT[0])
    return begun


# --- what is wrong with the Job is no fault of its volumes


@scenario(volumes=3, limit=1)
def worker_is_misconfigured(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 78, message=SET_UP_WRONGLY)
    stage.let_pass([1.0] * 6)
    stage.come_to_rest()
    stage.world.correct_job()


@scenario(volumes=2, parallelism=1)
def misconfigured_and_operator_restarts(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 78, message=SET_UP_WRONGLY)
    stage.let_pass([1.0] * 6)
    assert stage.guard.misconfigured
    restart(stage)
    stage.let_pass([1.0] * 12)


# --- rule 4: the operator can die at any instant and lose nothing


@scenario(volumes=3, parallelism=3, keep_succeeded=0)
def second_success_comes_right_after_the_ledger_was_stored(stage: Stage) -> None:
    for index in range(3):
        until_it_runs(stage, index)
    for index in range(2):
        stage.write(index, GOOD_MARKER)
        stage.world.end_worker(latest_pod(stage, index), 0)
        while index == 0 and stage.guard.stored(0).name == "WAITING":
            stage.let_pass([0.5])
    stage.let_pass([0.1] * 6)


@scenario(volumes=2, parallelism=1, limit=1)
def operator_dies_after_a_failure(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 1)
    stage.let_pass([3.0] * 8)  # it is reported, and stored
    restart(stage)
    stage.let_pass([1.0] * 4)


@scenario(limit=1)
def only_attempt_fails(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 1)
    stage.let_pass([1.0] * 8)


@scenario(volumes=2, keep_succeeded=0)
def two_operators_store_the_ledger(stage: Stage) -> None:
    lives = [until_it_runs(stage, 1), until_it_runs(stage, 0)]
    stage.start()
    quick, slow = stage.operators
    stage.let_pass([1.0] * 8)
    for life in lives:
        stage.write(life.index, GOOD_MARKER)
        stage.world.end_worker(life, 0)
        if life.index == 1:
            slow.hear_all()  # and nothing of the other
    for _ in range(20):
        stage.world.tick(0.5)
        stage.do_all(quick)
    assert stage.guard.stored(0).name == "SUCCEEDED"
    for _ in range(20):
        stage.world.tick(0.5)
        stage.look(slow)
        while slow.under_way:
            stage.step(slow, slow.under_way[0], "answer")


# --- rule 5: phases are recomputed


@scenario(limit=2)
def somebody_writes_that_a_task_has_failed(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 1)
    until_it_runs(stage)
    stage.world.patch_status("volumetasks", task_of(stage), {"phase": "Failed"})
    stage.let_pass([1.0] * 8)


@scenario(volumes=2, parallelism=1)
def correction_is_not_heard_of(stage: Stage) -> None:
    stage.world.end_worker(until_it_runs(stage), 78, message=SET_UP_WRONGLY)
    stage.let_pass([1.0] * 6)
    operator = the_operator(stage)
    stage.world.correct_job()
    operator.heard["jobs"] = len(stage.world.objects.changes)
    operator.list_again()
    stage.come_to_rest()


# --- rules 6, 7, 9 and 10: what is seen while a Job runs, and when nothing happens


@scenario(volumes=3)
def all_is_well(stage: Stage) -> None:
    stage.come_to_rest()
    for life in stage.world.pods():
        stage.world.start(life)
    stage.come_to_rest()
    stage.world.patch_status("jobs", JOB, {"counts": None})
    stage.come_to_rest()
