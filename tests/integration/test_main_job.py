"""The main job: volumes from each source, to Complete, with all that people read on the way."""

import pytest

from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")


def test_inline(space: Space, workers: Workers) -> None:
    live = space.submit(job("inline", space.bucket, numbered(5), parallelism=2))
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 5}
    workers.runs.check_each_ran_once(5)
