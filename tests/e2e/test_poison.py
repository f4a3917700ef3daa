"""One bad Job harms nobody, on a real cluster: who says what, and how soon."""

import logging
import time

from bec_operator.act.ground.api_server import core
from examples.deploy import OPERATOR_NAMESPACE, SECRET
from tests.e2e.site import SUCCEED, Site, script_of
from tests.support.jobs import numbered
from tests.support.kube import Body
from tests.support.poison import POISONS
from tests.support.space import Space, s3_client

log = logging.getLogger(__name__)

WELL = 20  # volumes
PATIENCE = 90.0  # seconds, on a machine that may have much else to do


def test_a_well_job_ends_beside_poisoned_ones(site: Site) -> None:
    space = Space(site.cluster, site.kube, s3_client(site.cluster.s3), site.namespace, site.bucket)
    output = {"bucket": site.bucket, "credentialsSecret": SECRET}
    before = _restarts(site)
    good = {"spec": script_of(SUCCEED)}
    made = {}
    for name, poison in POISONS.items():
        made[name] = poison.submit(space, name, good, output=output)
    worker = {"template": good}
    well = site.apply("well", f"{site.namespace}-well", numbered(WELL), worker)
    found = well.wait_complete(timeout=PATIENCE * 2)
    assert found["status"]["counts"]["succeeded"] == WELL
    for name, live in made.items():
        poison = POISONS[name]
        if not poison.reason:
            assert live.wait_complete(PATIENCE)["status"]["counts"]["succeeded"] == 2
            continue
        message = live.wait_stalled(poison.reason, PATIENCE)
        assert all(words in message for words in poison.says), message
        log.info("%s: %s after %.1f s: %s", name, poison.reason, _said_after(live.read()), message)
    assert _restarts(site) == before


def _restarts(site: Site) -> list[int]:
    """Return how often the operator's containers were started anew."""
    pods = site.kube.items(core(OPERATOR_NAMESPACE, "pods"))
    listed = [pod["status"].get("containerStatuses", []) for pod in pods]
    return [status["restartCount"] for statuses in listed for status in statuses]


def _said_after(job: Body) -> float:
    """Return the seconds from the making of a Job until it said that it stalls, to the second."""
    stalled = next(c for c in job["status"]["conditions"] if c["type"] == "Stalled")
    moments = (stalled["lastTransitionTime"], job["metadata"]["creationTimestamp"])
    said, made = (time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")) for moment in moments)
    return said - made
