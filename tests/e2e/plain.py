"""Jobs of plain pods, as a template describes them, and what their attempts are called."""

from typing import Any

from tests.cluster.images import image_ref
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import LiveJob, numbered
from tests.support.kube import Body
from tests.support.waiting import until

MINUTES = 60.0


def shell(script: str, **container: Any) -> Body:
    """Return the spec of a pod whose worker is a shell script, and says nothing of itself.

    `container` holds further fields of its container. Kubernetes makes one $ of two.
    """
    return worker_pod(["sh", "-c", script], **container)


def before(pod: Body, script: str, **container: Any) -> Body:
    """Return the spec of such a pod with an init container `fetch` that runs a shell script."""
    first = {"name": "fetch", "image": image_ref("worker"), "imagePullPolicy": "Never"}
    return {**pod, "initContainers": [{**first, "command": ["sh", "-c", script], **container}]}


def begin(site: Site, name: str, pod: Body, volumes: int = 1, **spec: Any) -> LiveJob:
    """Apply a Job whose pods are like this; one attempt a volume, if nothing else is said."""
    worker = {"template": {"spec": pod}}
    limits: Body = {"retry": {"limit": 1}, "maxFailed": "100%", **spec}
    return site.apply(name, f"{site.namespace}-{name}", numbered(volumes), worker, **limits)


def attempts(site: Site, job: LiveJob) -> dict[str, list[Body]]:
    """Return the attempts at the volumes of a Job, by `i_id`."""
    return {
        task["spec"]["volume"]["iId"]: task.get("status", {}).get("attempts", [])
        for task in site.tasks()
        if task["spec"]["job"] == job.name
    }


def failures(site: Site, job: LiveJob) -> list[str]:
    """Return how attempts at all volumes of a Job have failed."""
    listed = [attempt for each in attempts(site, job).values() for attempt in each]
    return [attempt["failure"] for attempt in listed if attempt.get("failure")]


def last_failed(site: Site, job: LiveJob) -> Body:
    """Return how the last attempt at the one volume of a Job has failed, once one has."""

    def look() -> Body | None:
        (listed,) = attempts(site, job).values()
        ended = [attempt for attempt in listed if attempt.get("failure")]
        return ended[-1] if ended else None

    job.wait_counts(total=1, timeout=MINUTES)
    return until(look, f"an attempt of {job.name} fails", timeout=2 * MINUTES) or {}


def log_of(site: Site, attempt: Body) -> str:
    """Return the log of an attempt, from where the VolumeTask says that it is."""
    key = str(attempt["log"]).removeprefix(f"s3://{site.bucket}/")
    return (site.store.get(site.bucket, key) or b"").decode()
