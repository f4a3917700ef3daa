"""Workers from elsewhere, from coming in to the end of a volume."""

from tests.integration.outside.conftest import Gate
from tests.support.behaviours import succeed
from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.workers import Workers

ONLY = {"allowed": True, "only": True, "marker": "OnDone"}


def test_from_coming_in_to_the_end(space: Space, gate: Gate) -> None:
    live = space.submit(job("elsewhere", space.bucket, numbered(3), outside=ONLY))
    worker = gate.worker(gate.token(space))
    volumes = set()
    for _ in range(3):
        given = worker.next().body
        assert given["job"] == f"{space.namespace}/elsewhere"
        assert given["lease_seconds"] == 300
        volumes.add(given["task"]["i_id"])
        assert worker.report("heartbeat").body == {"directive": "continue", "reason": ""}
        assert worker.report("log", text="what it printed").status == 200
        assert worker.report("done").status == 200
    assert volumes == {"I0", "I1", "I2"}
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 3
    over = worker.next(jobs=[f"{space.namespace}/elsewhere"]).body
    assert over["over"]
    assert not space.pods()


def test_beside_pods(space: Space, gate: Gate, workers: Workers) -> None:
    workers.behaviour = succeed
    outside = {"allowed": True, "marker": "OnDone"}
    spec = job("both", space.bucket, numbered(40), outside=outside, parallelism=4)
    worker = gate.worker(gate.token(space))
    live = space.submit(spec)
    done = 0
    while not (given := worker.next(jobs=["both"]).body).get("over"):
        if given["task"]:
            assert worker.report("done").status == 200
            done += 1
    assert 0 < done < 40
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 40
