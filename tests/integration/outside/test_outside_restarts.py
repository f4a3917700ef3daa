"""Workers from elsewhere, and an operator that has forgotten what they told it."""

from tests.integration.outside.conftest import Gate
from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.waiting import until

ONLY = {"allowed": True, "only": True, "marker": "OnDone"}


def test_who_has_done_a_volume_gets_another_after_a_restart(space: Space, gate: Gate) -> None:
    """What was done stays as history, on record for its seat: the seat is free all the same."""
    live = space.submit(job("history", space.bucket, numbered(2), outside=ONLY))
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]
    assert worker.report("done").status == 200
    live.wait_counts(succeeded=1)
    until(lambda: [t for t in space.tasks() if t["status"].get("phase") == "Succeeded"], "history")
    gate.operator.kill()
    gate.operator.start()
    worker.register()
    assert worker.next().body["task"]
    assert worker.report("done").status == 200
    assert counts(live.wait_complete())["succeeded"] == 2
