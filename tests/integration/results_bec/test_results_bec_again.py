"""Results that an outbox sends again to the tables of a BEC installation, by seeds."""

import random
from collections.abc import Sequence

import pytest

from bec_operator.decide.volumes.results import Result
from bec_ops.contract.volume import Volume
from tests.support.bec_results import (
    ETAG,
    LATER_ETAG,
    attempt,
    empty_installation,
    made,
    result,
)
from tests.support.postgres import Postgres


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_delivered_again_the_tables_end_the_same(postgres: Postgres, seed: int) -> None:
    """An outbox sends again what may not have arrived, from some result on, in its order."""
    dice = random.Random(seed)
    results = [any_result(dice, told=60 * n) for n in range(1, 30)]
    one_by_one = [[each] for each in results]
    again = []
    sure = 0
    while sure < len(results):
        upto = dice.randint(sure + 1, len(results))
        again.append(results[sure:upto])
        sure = dice.choice([sure, upto, upto])
    assert delivered(postgres, again) == delivered(postgres, one_by_one)


def delivered(postgres: Postgres, batches: Sequence[Sequence[Result]]) -> list[tuple[object, ...]]:
    """Return how all ends in tables that get these batches.

    Without the numbers of rows, and with so much of an ETag as is known in any case.
    """
    with empty_installation(postgres) as bec:
        for batch in batches:
            bec.write(*batch)
        ended = bec.tools.ask(
            """SELECT bdrc_i_id, left(encode(s3_etag, 'hex'), 6), status, attempt, worker_name,
                t.started_at, done_at, total_images, total_duration_ms
            FROM task_executions t JOIN volumes v ON v.id = volume_id
            LEFT JOIN workers w ON w.worker_id = t.worker_id ORDER BY 1, 2"""
        )
        volumes = bec.tools.ask(
            """SELECT bdrc_i_id, left(encode(last_s3_etag, 'hex'), 6), nb_images
            FROM volumes ORDER BY 1"""
        )
        return [tuple(row) for row in (*ended, *volumes)]


def any_result(dice: random.Random, told: float) -> Result:
    """Return what became of one of few volumes."""
    version, etag = dice.choice([("0c1d2e", ETAG), ("7f6e5d", LATER_ETAG)])
    volume = Volume("W1", dice.choice("IJ"), version)
    tried = [attempt(1, told - 30, told - 5, pod=f"pod-{told}")]
    marker = made(etag=etag, duration_ms=dice.random())
    return dice.choice(
        [
            result(volume, told=told, attempts=tried, made=marker),
            result(volume, "failed", told, attempts=tried),
            result(volume, "skipped", told, attempts=[]),
            result(volume, "waiting", told, attempts=[]),
            result(volume, told=told, attempts=[], failure="AlreadyDone", made=marker),
        ]
    )
