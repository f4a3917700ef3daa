"""What is not a volume's fault on a real node: it waits, its Job says for what, and is then done.

All Jobs are there at once, and each test looks at its own. A volume has one attempt, if nothing
else is said: whoever is done after a failure was tried again for free.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import JOB_LABEL
from tests.cluster.images import image_ref
from tests.e2e.plain import MINUTES, attempts, before, begin, failures, shell
from tests.e2e.site import SUCCEED, Site, script_of
from tests.support.jobs import LiveJob, condition, counts
from tests.support.kube import Body
from tests.support.waiting import until

TAKEN, ROOM, NEVER = (f"example.org/{what}" for what in ("taken", "room", "never"))
AWAY = "127.0.0.1:1/worker:1"  # nobody answers there
DONE = script_of(SUCCEED)
DOUBLED: Body = {"initial": "1s", "max": "8s"}
PATIENT: Body = {"initial": "30s", "max": "30s"}


def _affinity(site: Site) -> LiveJob:
    node = {"nodeName": site.cluster.site.name, "nodeSelector": {TAKEN: "true"}}
    retry = {"limit": 1, "backoff": DOUBLED}
    return begin(site, "affinity", {**DONE, **node}, volumes=2, retry=retry)


def _cpus(site: Site) -> LiveJob:
    pod = {**_with(requests={"cpu": "1000"}), "nodeName": site.cluster.site.name}
    return begin(site, "cpus", pod)


def _gate(site: Site) -> LiveJob:
    gated = {**DONE, "schedulingGates": [{"name": "example.org/wait"}]}
    return begin(site, "gate", gated, volumes=2, timeouts={"start": "20s", "node": "5s"})


def _late(site: Site) -> LiveJob:
    pod = {**before(DONE, "sleep 5"), "nodeSelector": {ROOM: "true"}}
    return begin(site, "late", pod, timeouts={"start": "20s"})


def _never(site: Site) -> LiveJob:
    pod = {**DONE, "nodeSelector": {NEVER: "true"}}
    return begin(site, "never", pod, timeouts={"node": "5s"})


def _registry(site: Site) -> LiveJob:
    pod = _with(image=AWAY, imagePullPolicy="IfNotPresent")
    return begin(site, "registry", pod, volumes=6, timeouts={"start": "15s"}, parallelism=6)


def _set_up(site: Site, name: str, pod: Body) -> LiveJob:
    return begin(site, name, pod, volumes=5, retry={"limit": 3}, parallelism=3)


def _with(requests: Body | None = None, **container: str) -> Body:
    (worker,) = DONE["containers"]
    resources = {"resources": {"requests": requests}} if requests else {}
    return {**DONE, "containers": [{**worker, **resources, **container}]}


SAYS_78 = "echo no such model; exit 78"
JOBS: dict[str, Callable[[Site], LiveJob]] = {
    "registry": _registry,
    "affinity": _affinity,
    "cpus": _cpus,
    "gate": _gate,
    "late": _late,
    "never": _never,
    "set-up-worker": lambda site: _set_up(site, "set-up-worker", shell(SAYS_78)),
    "set-up-init": lambda site: _set_up(site, "set-up-init", before(DONE, SAYS_78)),
}


@pytest.fixture(scope="module")
def jobs(shared_site: Site) -> dict[str, LiveJob]:
    """All of them."""
    return {name: begin_one(shared_site) for name, begin_one in JOBS.items()}


@contextmanager
def labelled(site: Site, key: str) -> Iterator[None]:
    """Give the node a label, as its administrator may."""
    path = core(None, "nodes", site.cluster.site.name)
    site.kube.patch(path, {"metadata": {"labels": {key: "true"}}})
    try:
        yield
    finally:
        site.kube.patch(path, {"metadata": {"labels": {key: None}}})


def wait_told(job: LiveJob, reason: str) -> str:
    """Wait until a Job that goes on says what it waits for, and return the sentence."""

    def holds(found: Body) -> bool:
        return condition(found, "Ready")["reason"] == reason

    found = job.wait(holds, f"Ready: {reason}", 2 * MINUTES)
    return condition(found, "Ready")["message"]


def check_done(site: Site, job: LiveJob, *failed: str) -> None:
    """See that all volumes of a Job get done, after failures of these classes and no others."""
    ended = job.wait_complete(4 * MINUTES)
    assert counts(ended).get("failed", 0) == 0
    assert set(failures(site, job)) == set(failed)


def check_nothing_lost(site: Site, job: LiveJob, seconds: float) -> None:
    """See that no attempt has failed in the first seconds of a Job."""
    made = datetime.fromisoformat(job.read()["metadata"]["creationTimestamp"])
    over = made + timedelta(seconds=seconds)
    until(lambda: datetime.now(UTC) > over, f"{job.name} is {seconds:.0f} s old", seconds + 1)
    assert not failures(site, job)


def number(listed: list[Body]) -> int:
    """Return how many attempts there were: a VolumeTask tells some of them together."""
    return max((attempt["number"] for attempt in listed), default=0)


def test_an_image_that_cannot_be_had_for_a_while(
    shared_site: Site, jobs: dict[str, LiveJob]
) -> None:
    """Six volumes at once, a registry that nobody answers for, and no attempt that counts."""
    job = jobs["registry"]
    assert AWAY in job.wait_stalled("ImagePull", MINUTES)
    assert "connection refused" in job.wait_stalled("RepeatedFailures", 2 * MINUTES)
    assert counts(job.read()).get("failed", 0) == 0
    shared_site.cluster.tag_image(image_ref("worker"), AWAY)
    check_done(shared_site, job, "ImagePull")


def test_a_node_that_does_not_take_the_pod(shared_site: Site, jobs: dict[str, LiveJob]) -> None:
    """`kubernetes#70010`, `flyte PR#6461`, `OSMO PR#1036`: it costs nothing, and comes later."""
    job = jobs["affinity"]
    assert "NodeAffinity" in wait_told(job, "NodeRefused")
    until(lambda: number(attempts(shared_site, job)["I0"]) > 3, "four attempts", 2 * MINUTES)
    assert set(failures(shared_site, job)) == {"NodeRefused"}
    with labelled(shared_site, TAKEN):
        check_done(shared_site, job, "NodeRefused")


def test_a_node_that_has_not_what_the_pod_asks_for(
    shared_site: Site, jobs: dict[str, LiveJob]
) -> None:
    """`kubernetes#70010`: the Job is corrected, and the volume is done."""
    job = jobs["cpus"]
    assert "OutOfcpu" in wait_told(job, "NodeRefused")
    job.patch(worker={"template": {"spec": DONE}})
    check_done(shared_site, job, "NodeRefused")


def test_a_scheduling_gate(shared_site: Site, jobs: dict[str, LiveJob]) -> None:
    """`skypilot PR#10252`, `tekton#4078`: a queue may take longer than any time-out of the Job."""
    job = jobs["gate"]
    assert "example.org/wait" in wait_told(job, "SchedulingGated")
    check_nothing_lost(shared_site, job, 25.0)
    gated = [p for p in shared_site.pods() if p["metadata"]["labels"][JOB_LABEL] == job.name]
    assert len(gated) == 2
    for pod in gated:
        path = core(shared_site.namespace, "pods", pod["metadata"]["name"])
        shared_site.kube.patch(path, {"spec": {"schedulingGates": None}})
    check_done(shared_site, job)


def test_a_node_that_comes_late(shared_site: Site, jobs: dict[str, LiveJob]) -> None:
    """`iterion PR#707`, `airflow PR#49784`: an autoscaler takes longer than a start may."""
    job = jobs["late"]
    assert "timeouts.node" in job.wait_stalled("Unschedulable", MINUTES)
    check_nothing_lost(shared_site, job, 25.0)
    with labelled(shared_site, ROOM):
        check_done(shared_site, job)


def test_a_node_that_does_not_come(shared_site: Site, jobs: dict[str, LiveJob]) -> None:
    """It is given up after `timeouts.node`, which costs nothing."""
    job = jobs["never"]
    until(lambda: failures(shared_site, job), "an attempt is given up", 2 * MINUTES)
    assert "didn't match" in attempts(shared_site, job)["I0"][0]["message"]
    with labelled(shared_site, NEVER):
        check_done(shared_site, job, "Unschedulable")


@pytest.mark.parametrize("name", ["set-up-worker", "set-up-init"])
def test_78_of_a_tool_is_believed_of_three_volumes(
    shared_site: Site, jobs: dict[str, LiveJob], name: str
) -> None:
    """`argo-workflows#10717`: an exit code counts, until several volumes say the same."""
    job = jobs[name]
    assert "no such model" in job.wait_stalled("Misconfigured", 2 * MINUTES)
    assert "failed" not in counts(job.read())
    job.patch(worker={"template": {"spec": {**DONE, "initContainers": None}}})
    check_done(shared_site, job, "Retryable")


def test_init_containers_that_all_fail_pause_the_job(shared_site: Site) -> None:
    """`argo-workflows#14495`, `kubedirector#543`: one typo does not make pods without end."""
    pod = before(DONE, "echo no such scan >&2; exit 1")
    retry = {"limit": 5, "backoff": PATIENT}
    job = begin(shared_site, "typo", pod, volumes=10, parallelism=5, retry=retry)
    said = job.wait_stalled("RepeatedFailures", 3 * MINUTES)
    assert "init container fetch: exit 1: no such scan" in said
    assert "failed" not in counts(job.read())
    begun = sum(map(number, attempts(shared_site, job).values()))
    assert begun <= 10, "five, and those that were on their way"
