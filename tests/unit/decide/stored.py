"""What is stored of a Job, in the API server and in S3, as a reader finds it."""

import base64
import gzip
import json
from typing import Any

from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.api.names import ledger_name
from bec_operator.decide.attempts.retrying import is_final
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_api import Object, owner_uid
from tests.unit.decide.objects import failures, uid
from tests.unit.decide.world import World


def ledger_of(found: Object) -> Ledger:
    """Return the ledger that a ConfigMap holds."""
    packed = base64.b64decode(found["binaryData"]["ledger"])
    return Ledger.decode(found["data"]["manifest"], packed, int(found["data"]["total"]))


class Stored:
    """Reads the world, and judges nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.reports = f"artefacts/{world.job_id}/_job/"

    def ledger(self, found: Object | None = None) -> Ledger | None:
        """Return the stored ledger of the Job as it is now, or as `found` has it."""
        found = found or self._world.objects.get("configmaps", ledger_name(self._world.name))
        if found is None or owner_uid(found) != self._world.job_uid:
            return None
        return ledger_of(found)

    def total(self) -> int:
        """Return how many volumes the stored ledger has."""
        ledger = self.ledger()
        return len(ledger) if ledger is not None else 0

    def stored(self, index: int) -> Outcome:
        """Return what the stored ledger says of a volume."""
        ledger = self.ledger()
        return Outcome.WAITING if ledger is None else ledger.outcome(index)

    def status(self) -> JobStatus:
        """Return the status of the Job as it stands."""
        return JobStatus.model_validate(self._world.job.get("status") or {})

    def reported(self, index: int) -> list[dict[str, Any]]:
        """Return the lines about a volume in the failure reports."""
        bodies = [
            b
            for k, b in self._world.store.objects.items()
            if k.startswith(f"{self.reports}failures-")
        ]
        lines = [json.loads(line) for body in bodies for line in body.splitlines()]
        job = self._world.job_uid
        return [line for line in lines if (line["index"], line["jobUid"]) == (index, job)]

    def outbox(self, index: int) -> list[dict[str, Any]]:
        """Return the results of a volume that somebody waits for."""
        objects, begins = self._world.store.objects, f"{self.reports}outbox-"
        parts = [body for key, body in sorted(objects.items()) if key.startswith(begins)]
        lines = [json.loads(line) for body in parts for line in body.splitlines()]
        job = self._world.job_uid
        return [line for line in lines if (line["index"], line["jobUid"]) == (index, job)]

    def frozen(self, ledger: Ledger) -> list[Volume]:
        """Return the volumes of the manifest that a ledger names."""
        packed = self._world.store.objects.get(
            f"{self.reports}manifest-{ledger.manifest[:16]}.jsonl.gz"
        )
        assert packed is not None, "rule 4: the ledger names a manifest that is not there"
        rows = map(json.loads, gzip.decompress(packed).splitlines())
        return [Volume(row["wId"], row["iId"], row["iVersion"]) for row in rows]

    def last_failure(self, index: int) -> str:
        """Return how the last attempt at a volume failed, as its task says."""
        (task,) = (t for t in self._world.all("volumetasks") if t["spec"]["index"] == index)
        return failures(task)[-1].label

    def active(self) -> int:
        """Return how many tasks take a slot of the window: all but those that wait for a retry."""
        live = {life.task_uid for life in self._world.lives.values() if not life.over}
        return sum(
            self._is_active(task) and (not failures(task) or uid(task) in live)
            for task in self._world.all("volumetasks")
        )

    def lingering(self) -> int:
        """Return how many pods are alive whose tasks are over: they have their slots, too."""
        tasks = {uid(task) for task in self._world.all("volumetasks") if self._is_active(task)}
        return sum(not life.over and life.task_uid not in tasks for life in self._world.pods())

    def could_run(self, index: int) -> bool:
        """Whether nothing keeps a volume from having a task: not its end, not a stranger."""
        tasks = [t for t in self._world.all("volumetasks") if t["spec"]["index"] == index]
        ours = all(self._is_active(task) for task in tasks)
        done = self._world.has_marker(index) or self.stored(index) is not Outcome.WAITING
        return ours and not done

    def is_hopeless(self) -> bool:
        """Whether more volumes are stored as failed than the Job allows."""
        ledger = self.ledger()
        return ledger is not None and ledger.count(Outcome.FAILED) > self._allowed()

    def _allowed(self) -> int:
        spec = JobSpec.model_validate(self._world.job["spec"])
        return spec.failures_allowed(self.total())

    def _is_active(self, task: Object) -> bool:
        world = self._world
        return (
            self._is_ours(task)
            and not world.has_marker(task["spec"]["index"])
            and not is_final(failures(task), world.plan.budget)
        )

    def _is_ours(self, found: Object) -> bool:
        return owner_uid(found) == self._world.job_uid
