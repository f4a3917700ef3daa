"""When a job is looked at again."""

import pytest

from bec_operator.decide.slots.pacing import BURST, EVERY, LATEST, POOL_SHARE, SHARE, Pacing

START = 1_800_000_000.0


def passes(took: float, seconds: float, share: float = SHARE) -> int:
    """Count the passes that are made in so many seconds if there is always something to do."""
    pacing, now, made = Pacing(), START, 0
    while now < START + seconds:
        pacing.note(now, took, share)
        now, made = pacing.next, made + 1
    return made


def test_a_small_job_is_looked_at_as_soon_as_something_happens() -> None:
    assert passes(took=0.002, seconds=0.8) == pytest.approx(0.8 / EVERY, abs=1)


@pytest.mark.parametrize("share", [SHARE, POOL_SHARE])
def test_in_the_long_run_passes_take_their_share_of_the_time(share: float) -> None:
    spent = passes(took=0.01, seconds=600, share=share) * 0.01
    assert spent == pytest.approx(600 * share + BURST, rel=0.01)


def test_the_longest_pass_is_followed_by_another_after_a_second() -> None:
    assert passes(took=5.0, seconds=10) == pytest.approx(10 / LATEST, abs=1)


def test_a_job_that_was_left_alone_has_its_credit_again() -> None:
    pacing = Pacing()
    pacing.note(START, 5.0, SHARE)
    assert pacing.next == START + LATEST
    pacing.note(START + 60, 0.001, SHARE)
    assert pacing.next == pytest.approx(START + 60 + EVERY)
