"""Workers from elsewhere that say where they are get the volumes of their site."""

from tests.integration.outside.conftest import Gate
from tests.support.behaviours import succeed
from tests.support.jobs import counts, job
from tests.support.space import Space
from tests.support.workers import Workers

DESKS = [{"name": "desk", "outside": True}, {"name": "attic", "outside": True}]


def test_each_does_what_is_for_its_site(space: Space, gate: Gate, workers: Workers) -> None:
    workers.behaviour = succeed
    sites = [{}, {"site": "attic"}, {"site": "desk"}, {"site": "attic"}, {"site": "desk"}]
    items = [{"wId": "W1", "iId": f"I{n}", **where} for n, where in enumerate(sites)]
    outside = {"allowed": True, "marker": "OnDone"}
    spec = {"outside": outside, "sites": {"policy": "Require", "of": DESKS}}
    live = space.submit(job("desks", space.bucket, {"items": items}, **spec))
    live.wait_counts(succeeded=1)
    done = {}
    for site in ("desk", "attic", "desk", "attic"):
        worker = gate.worker(gate.token(space))
        given = worker.next(jobs=["desks"], site=site).body
        done[given["task"]["i_id"]] = site
        assert worker.report("done").status == 200
    assert done == {"I1": "attic", "I2": "desk", "I3": "attic", "I4": "desk"}
    assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    assert [run.pod.task.i_id for run in workers.runs.all()] == ["I0"]
