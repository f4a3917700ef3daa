"""Workers that do not end by themselves: each is caught by its own time-out, and named so."""

import re
import signal

import pytest

from tests.e2e.acts import AT_WORK, MINUTES, Acts
from tests.e2e.site import Site
from tests.support.jobs import counts
from tests.support.kube import Body

# Each long enough for the one before to be told from it: heartbeats come every second.
TIMEOUTS = {"heartbeat": "10s", "progress": "20s", "task": "45s"}


@pytest.fixture(scope="module")
def ended(shared_site: Site) -> tuple[Body, Acts]:
    """The Job after its end, whose volumes were done in the three wrong ways at once."""
    acts = Acts.begin(
        shared_site, "wrong", "silent", "hung", "overlong", timeouts=TIMEOUTS, retry={"limit": 1}
    )
    acts.wait_at_work("silent")
    acts.signal("silent", signal.SIGSTOP)
    return acts.job.wait_complete(4 * MINUTES), acts


@pytest.mark.parametrize(
    ("i_id", "failure", "message"),
    [
        ("silent", "Silent", rf"no sign of life for 10s \(timeouts.heartbeat\), at {AT_WORK}"),
        ("hung", "Stuck", rf"no progress for 20s \(timeouts.progress\), at {AT_WORK}"),
        ("overlong", "TooLong", r"it ran for 45s \(timeouts.task\), at \d{2,} pages"),
    ],
)
def test_each_is_caught_by_its_own_time_out(
    ended: tuple[Body, Acts], i_id: str, failure: str, message: str
) -> None:
    found, acts = ended
    assert counts(found) == {"total": 3, "failed": 3}
    (attempt,) = acts.attempts(i_id)
    assert attempt["failure"] == failure
    assert re.fullmatch(message, attempt["message"])
    acts.check_log(i_id, 1, "attempt 1 at W1/")
