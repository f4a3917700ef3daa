"""Job resources as tests write them, and what they read of one that is there."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from bec_operator.act.ground.api_server import bec
from bec_operator.api.base import API_VERSION
from bec_ops.contract.volume import Volume
from tests.support.kube import Body, Kube

SOON: Body = {"initial": "1s", "max": "1s"}
TEMPLATE: Body = {"spec": {"containers": [{"name": "worker", "image": "worker:1"}]}}


def numbered(count: int, work: str = "W1") -> list[Volume]:
    """Return so many volumes of one work."""
    return [Volume(work, f"I{number}", "v1") for number in range(count)]


def items(volumes: Sequence[Volume]) -> Body:
    """Return volumes as a source within the Job."""
    return {"items": [{"wId": v.w_id, "iId": v.i_id, "iVersion": v.i_version} for v in volumes]}


def manifest(bucket: str, key: str) -> Body:
    """Return a list in S3 as a source."""
    return {"manifest": {"uri": f"s3://{bucket}/{key}"}}


def config_map(name: str, key: str) -> Body:
    """Return a list in a ConfigMap as a source."""
    return {"configMap": {"name": name, "key": key}}


def csv(volumes: Sequence[Volume]) -> bytes:
    """Return a list of volumes that have no versions."""
    return "".join(f"{volume.w_id},{volume.i_id}\n" for volume in volumes).encode()


def job(name: str, bucket: str, source: Body | Sequence[Volume], **spec: Any) -> Body:
    """Return a Job; keywords are further fields of its spec, as they stand there.

    Its volumes wait a second for another attempt, if nothing else is said.
    """
    volumes = source if isinstance(source, dict) else items(source)
    base = {"volumes": volumes, "worker": {"template": TEMPLATE}, "output": {"bucket": bucket}}
    return {
        "apiVersion": API_VERSION,
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**base, **spec, "retry": {"backoff": SOON, **spec.get("retry", {})}},
    }


def condition(found: Body, kind: str) -> dict[str, str]:
    """Return a condition of a Job; its `status` is Unknown where there is none."""
    listed = found.get("status", {}).get("conditions", [])
    blank = {"type": kind, "status": "Unknown", "reason": "", "message": ""}
    return next((c for c in listed if c["type"] == kind), blank)


def is_true(found: Body, kind: str) -> bool:
    """Whether a condition of a Job holds."""
    return condition(found, kind)["status"] == "True"


def phase(found: Body) -> str:
    """Return the phase of a Job."""
    return str(found.get("status", {}).get("phase", ""))


def counts(found: Body) -> dict[str, int]:
    """Return the counts of a Job that are not zero."""
    listed = found.get("status", {}).get("counts", {})
    return {name: number for name, number in listed.items() if number}


class LiveJob:
    """A Job that is in the cluster."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._kube = kube

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return bec(self.namespace, "jobs", self.name)

    def read(self) -> Body:
        """Return it as it is now."""
        return self._kube.get(self.path)

    def patch(self, **spec: Any) -> None:
        """Change fields of its spec; None takes one away."""
        self._kube.patch(self.path, {"spec": spec})

    def delete(self) -> None:
        """Delete it, without waiting for what belongs to it."""
        self._kube.delete(self.path)

    def wait(self, holds: Callable[[Body], bool], what: str, timeout: float = 15.0) -> Body:
        """Return the first state seen for which `holds` is true."""
        last: Body = {}
        deadline = time.monotonic() + timeout
        query = {"fieldSelector": f"metadata.name={self.name}"}
        with self._kube.watch(bec(self.namespace, "jobs"), timeout, query) as watch:
            for event in watch:
                last = event["object"]
                if event["type"] != "DELETED" and holds(last):
                    return last
                if time.monotonic() > deadline:
                    break
        said = f"Job {self.name} not within {timeout:.0f} s: {what}"
        raise AssertionError(f"{said}; its last status: {last.get('status')}")

    def wait_phase(self, *wanted: str, timeout: float = 30.0) -> Body:
        """Wait for one of some phases."""
        return self.wait(lambda found: phase(found) in wanted, f"phase {wanted}", timeout)

    def wait_complete(self, timeout: float = 30.0) -> Body:
        """Wait for its end, which must be a good one.

        The conditions say it, not the phase: a test may write a wrong one of its own.
        """

        def ended(found: Body) -> bool:
            return is_true(found, "Complete") or is_true(found, "Failed")

        found = self.wait(ended, "its end", timeout)
        assert is_true(found, "Complete"), found["status"]
        return found

    def wait_stalled(self, reason: str, timeout: float = 15.0) -> str:
        """Wait until it says that it is stalled for `reason`, and return the sentence."""

        def holds(found: Body) -> bool:
            return is_true(found, "Stalled") and condition(found, "Stalled")["reason"] == reason

        return condition(self.wait(holds, f"Stalled: {reason}", timeout), "Stalled")["message"]

    def wait_ready(self, timeout: float = 15.0) -> Body:
        """Wait until it says that all is well with it."""
        return self.wait(lambda found: is_true(found, "Ready"), "Ready", timeout)

    def wait_counts(self, timeout: float = 30.0, **wanted: int) -> Body:
        """Wait until some of its counts are as given."""

        def holds(found: Body) -> bool:
            seen = counts(found)
            return all(seen.get(name, 0) == number for name, number in wanted.items())

        return self.wait(holds, f"counts {wanted}", timeout)
