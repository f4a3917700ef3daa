"""What big Jobs that have ended leave in the operator's memory."""

import time

from bec_operator.act.ground.api_server import bec
from tests.cluster import Cluster
from tests.cluster.images import CHECKOUT
from tests.scale.faults import HOPELESS
from tests.scale.fleet import fleet
from tests.scale.meter import memory_now, peak_memory
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, POD
from tests.support.jobs import LiveJob, job, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.waiting import until

JOBS_IN_ALL = 10
SETTLED = 30.0  # seconds after the end of a Job in which what it needed can go
PATIENCE = 900.0  # seconds until a Job has ended


def ended(cluster: Cluster, operator: Operator, volumes: int) -> Body:
    """Let big Jobs end one after the other, and return what that leaves in memory.

    `memory_mb` is before the first of them, after each, and once what they needed can have gone.
    """
    kube = Kube(cluster.kubeconfig)
    log = CHECKOUT / "build" / "bench-jobs-ended-fleet.log"
    with fleet(cluster, log, faulty=True), operator:
        _end(kube, f"{HOPELESS}-first", 1)  # what any Job needs is loaded
        time.sleep(SETTLED)
        memory = [memory_now(operator.pid)]
        for number in range(JOBS_IN_ALL):
            _end(kube, f"{HOPELESS}-{number}", volumes)
            memory.append(memory_now(operator.pid))
        time.sleep(SETTLED)
        memory.append(memory_now(operator.pid))
        for number in range(JOBS_IN_ALL):
            LiveJob(kube, NAMESPACE, f"{HOPELESS}-{number}").delete()
        until(lambda: len(kube.items(bec(NAMESPACE, "jobs"))) == 1, "they are gone", 60)
        time.sleep(SETTLED)
        return {
            "memory_mb": memory,
            "kept_mb": memory[-1] - memory[0],
            "kept_beyond_the_first_mb": memory[-1] - memory[1],
            "kept_when_deleted_mb": memory_now(operator.pid) - memory[0],
            "memory_peak_mb": peak_memory(operator.pid),
        }


def _end(kube: Kube, name: str, volumes: int) -> None:
    """Make a Job of which one volume is launched, fails, and ends it."""
    source = manifest(BUCKET, f"lists/{volumes}.csv")
    template = {"template": {"spec": POD}}
    kube.create(JOBS, job(name, BUCKET, source, worker=template, parallelism=1, maxFailed=0))
    LiveJob(kube, NAMESPACE, name).wait_phase("Failed", timeout=PATIENCE)
