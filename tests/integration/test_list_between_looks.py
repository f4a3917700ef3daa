"""A list that changes while nobody looks: between two looks, or while the operator is away."""

from collections.abc import Sequence

from bec_ops.contract.volume import Volume
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import condition, counts, csv, job, manifest
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.workers import Workers

FIVE = [Volume("W1", f"I{number}") for number in range(5)]
TOLD = "1 volume is no longer in the list; it is done all the same"


def put(space: Space, volumes: Sequence[Volume]) -> Body:
    space.put("list.csv", csv(volumes))
    return manifest(space.bucket, "list.csv")


def is_told(found: Body) -> bool:
    return TOLD in condition(found, "Ready")["message"]


def test_a_volume_that_comes_while_the_last_one_runs(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """The next look is an hour away, but there is one before the job is complete."""
    workers.behaviour = hang
    with make_operator(list_every=3600):
        live = space.submit(job("late", space.bucket, put(space, FIVE[:1])))
        workers.running(1)
        put(space, FIVE[:2])
        workers.release()

        assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}
    workers.runs.check_each_ran_once(2)


def test_the_operator_is_away_while_the_list_changes(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """What was removed before it died is told again, and not taken for new."""
    workers.behaviour = hang
    with make_operator(list_every=1) as mortal:
        live = space.submit(job("away", space.bucket, put(space, FIVE[:3]), parallelism=1))
        workers.running(1)
        put(space, [FIVE[0], FIVE[2], FIVE[3]])
        live.wait_counts(total=4)
        live.wait(is_told, TOLD)

        mortal.kill()
        put(space, [FIVE[4], FIVE[3], FIVE[2], FIVE[0]])
        mortal.start()

        live.wait_counts(total=5, running=1, waiting=4)
        live.wait(is_told, TOLD)
        assert space.frozen("away") == FIVE
        workers.release()
        assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    workers.runs.check_each_ran_once(5)
