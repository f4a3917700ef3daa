"""How long a task waits before another attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.api.retry import Backoff
from bec_operator.decide.attempts.retrying import JITTER, delay, disruptions_in_a_row
from bec_operator.decide.sight.failures import RULES, FailureClass

RETRYABLE, DISRUPTED = FailureClass.RETRYABLE, FailureClass.DISRUPTED
BACKOFF = Backoff(initial="10s", max="1m")


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        ([], 0),
        ([RETRYABLE], 10),
        ([RETRYABLE] * 2, 20),
        ([RETRYABLE] * 3, 40),
        ([RETRYABLE] * 4, 60),
        ([RETRYABLE] * 99, 60),
        ([RETRYABLE, DISRUPTED], 0),  # somebody else's doing: at once
        ([DISRUPTED] * 5 + [RETRYABLE], 10),
        ([RETRYABLE] * 3 + [DISRUPTED] * 2, 10),  # but not for ever
        ([DISRUPTED, FailureClass.INTERRUPTED, FailureClass.NODE_LOST], 20),
        ([DISRUPTED] * 9, 60),
        ([DISRUPTED, RETRYABLE, DISRUPTED], 0),
    ],
)
def test_it_doubles_up_to_a_maximum(failures: list[FailureClass], seconds: float) -> None:
    assert delay(BACKOFF, failures, "task") == pytest.approx(seconds, rel=JITTER)


def test_tasks_that_failed_together_come_apart() -> None:
    delays = {round(delay(BACKOFF, [RETRYABLE], f"task-{n}"), 2) for n in range(100)}
    assert len(delays) > 50


@given(failures=st.lists(st.sampled_from(FailureClass), min_size=1), seed=st.text())
def test_it_is_the_same_each_time_and_never_too_long(
    failures: list[FailureClass], seed: str
) -> None:
    waits = delay(BACKOFF, failures, seed)
    assert waits == delay(BACKOFF, failures, seed)
    assert 0 <= waits <= 60 * (1 + JITTER)
    rule = RULES[failures[-1]]
    assert (waits == 0) == (rule.at_once or (rule.spared and disruptions_in_a_row(failures) == 1))
