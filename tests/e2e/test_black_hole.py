"""A warm worker whose process breaks, among others that are well, on a real node."""

from tests.e2e.acts import MINUTES
from tests.e2e.site import Site
from tests.e2e.warm import begin, loads
from tests.support.jobs import counts
from tests.support.waiting import until


def test_a_poisoned_process_costs_two_attempts_and_no_volume(site: Site) -> None:
    """One GPU context of four was poisoned: nine of forty volumes failed for good."""
    ids = [f"part-{number}" for number in range(40)]
    acts, pool = begin(site, *ids, pool={"maxWorkers": 4})
    done = acts.job.wait_complete(5 * MINUTES)
    assert counts(done) == {"total": 40, "succeeded": 40}
    attempts = [attempt for i_id in ids for attempt in acts.attempts(i_id)]
    failed = [attempt for attempt in attempts if attempt.get("failure")]
    assert len(failed) == 2
    (broken,) = {attempt["podUid"] for attempt in failed}
    assert "CUDA error" in failed[0]["message"]
    assert len({attempt["podUid"] for attempt in attempts} - {broken}) >= 3
    assert loads(site) >= 4
    until(pool.is_gone, "the pool is gone", 2 * MINUTES)
