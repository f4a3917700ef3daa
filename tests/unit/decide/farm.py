"""Several Jobs that depend on each other, looked at one by one: who may start when.

The operator is real, over the fake API server and the fake S3. What becomes of a task is told by
the test; its pod ends then. `machine` tests one Job with all that may happen to it, `fleet` several
under the operator's own loop.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from bec_operator.act.kube.records import job_of
from bec_operator.act.storage.gates import load_ended
from bec_operator.api.base import API_VERSION
from bec_operator.api.names import JOB_LABEL, ledger_name, task_name
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_api import NAMESPACE, Object, Objects, address
from tests.unit.decide.fake_s3 import FakeStore
from tests.unit.decide.process import Process
from tests.unit.decide.stepping import run_through
from tests.unit.decide.stored import ledger_of
from tests.unit.decide.world import GOOD_MARKER, WorldClock

AWAY = "StorageUnavailable"
BUCKET = "b"
_TERMINAL = 65  # exit code
_LOOKS = 12  # after which a task that has ended is stored and gone, if nothing is in the way


def spec(*depends_on: Object, **more: Any) -> Object:
    """Return the spec of a Job; its volumes are the farm's affair."""
    return {
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": BUCKET},
        "maxFailed": "100%",
        "history": {"succeeded": 0, "failed": 0},
        "dependsOn": list(depends_on),
        **more,
    }


class Markers:
    """The markers that stand, of a job's id and a volume."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    def add(self, marker: tuple[str, Volume]) -> None:
        """Put one."""
        self._store.objects[_marker_key(*marker)] = GOOD_MARKER

    def __contains__(self, marker: tuple[str, Volume]) -> bool:
        return _marker_key(*marker) in self._store.objects


class Farm:
    """The Jobs, and what is true of them."""

    def __init__(self, markers: Iterable[tuple[str, Volume]] = ()) -> None:
        self.clock = WorldClock()
        self.store = FakeStore()
        self.objects = Objects(self.clock.now)
        self.markers = Markers(self.store)
        for marker in markers:
            self.markers.add(marker)
        self.begun: list[str] = []  # actions, by their labels
        self._lists: dict[str, list[Volume]] = {}
        self.operator = self._start()

    # --- people

    def apply(self, name: str, volumes: list[Volume], made: Object) -> None:
        """Make a Job."""
        self._publish(name, volumes)
        source = {"manifest": {"uri": f"s3://{BUCKET}/{_list_key(name)}"}}
        self.objects.create(
            "jobs",
            {
                "apiVersion": API_VERSION,
                "kind": "Job",
                "metadata": {"name": name},
                "spec": {**made, "volumes": source},
            },
        )

    def edit(self, name: str, made: Object) -> None:
        """Change the spec of a Job."""
        self.objects.edit("jobs", name, made)

    def lengthen(self, name: str, *volumes: Volume) -> None:
        """Add volumes to the list of a Job."""
        self._publish(name, [*self._lists[name], *volumes])

    def _publish(self, name: str, volumes: list[Volume]) -> None:
        self._lists[name] = volumes
        text = io.StringIO()
        csv.writer(text).writerows(volumes)
        self.store.objects[_list_key(name)] = text.getvalue().encode()

    def delete(self, name: str) -> None:
        """Delete a Job, and what it owns; its artefacts stay."""
        self.objects.remove("jobs", name)
        for kind in ("pods", "volumetasks", "configmaps"):
            for found in self.objects.selected(kind, f"{JOB_LABEL}={name}"):
                self.objects.remove(kind, found["metadata"]["name"])
        self.operator.hear_all()
        self.operator.reconciler._fenced_case(self.operator.ctx, (NAMESPACE, name))

    # --- the operator

    def _start(self) -> Process:
        return Process(self._answer, self.store, self.clock, self.objects.changes)

    def restart(self) -> None:
        """Lose all that is only remembered."""
        self.operator.die()
        self.operator = self._start()

    def look(self, name: str) -> None:
        """Make one pass over a Job, and do what is decided."""
        self.clock.time += 0.05
        operator = self.operator
        operator.hear_all()
        operator.reconciler._tick(operator.ctx.clock.now())
        operator.look(name)
        self.begun += [doing.label for doing in operator.under_way]
        while operator.under_way:
            operator.get_answer(operator.under_way[0])

    def settle_down(self, seconds: float = 0.0) -> None:
        """Let the operator do all that it can, tasks apart."""
        self.clock.time += seconds
        for _ in range(8):
            for name in list(self.jobs):
                self.look(name)
            self.clock.time += 1.0

    def finish(self, name: str, index: int, *, well: bool = True) -> None:
        """Let a task end, and the operator store what became of it, if S3 lets it."""
        task = task_name(name, self._lists[name][index])
        for _ in range(_LOOKS):
            if self.objects.get("volumetasks", task) is None:
                return
            self._end_pod(name, index, f"{task}-1", well=well)
            self.look(name)
            self.clock.time += 0.5

    def _end_pod(self, name: str, index: int, pod: str, *, well: bool) -> None:
        found = self.objects.get("pods", pod)
        if found is None or found.get("status"):
            return
        if well:
            self.markers.add((name, self._lists[name][index]))
        ended = {"exitCode": 0 if well else _TERMINAL, "reason": "Error", "message": "torn"}
        worker = {"name": "worker", "state": {"terminated": ended}}
        phase = "Succeeded" if well else "Failed"
        self.objects.patch("pods", pod, {"status": {"phase": phase, "containerStatuses": [worker]}})

    def read_ended(self, name: str) -> None:
        """Let the operator read what became of a Job that has ended, before it looks at it."""
        memory = self._work(name)
        with self.operator._loop.running():
            run_through(load_ended(self.operator.ctx, memory))

    def _work(self, name: str) -> Memory:
        work = self.operator.reconciler._fenced_case(self.operator.ctx, (NAMESPACE, name))
        assert work is not None
        return work.memory

    # --- what there is to be seen

    @property
    def now(self) -> float:
        """The time."""
        return self.clock.now()

    @property
    def s3_away(self) -> bool:
        """Whether S3 does not answer."""
        return self.store.trouble is not None

    @s3_away.setter
    def s3_away(self, away: bool) -> None:
        self.store.trouble = "Unavailable" if away else None

    @property
    def jobs(self) -> Mapping[str, JobSeen]:
        """The Jobs as they stand."""
        return {job["metadata"]["name"]: job_of(job) for job in self.objects.all("jobs")}

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What the operator remembers."""
        return {name: work.memory for (_, name), work in self.operator.reconciler._jobs.items()}

    @property
    def tasks(self) -> Mapping[str, Mapping[int, Object]]:
        """The tasks of each Job, by the place of their volume."""
        found: dict[str, dict[int, Object]] = {name: {} for name in self.jobs}
        for task in self.objects.all("volumetasks"):
            found[task["spec"]["job"]][task["spec"]["index"]] = task
        return found

    def count(self, action: str) -> int:
        """Return how often an action was begun."""
        return sum(label.startswith(f"{action}(") for label in self.begun)

    def volumes(self, name: str) -> list[Volume]:
        """Return the volumes of a Job."""
        return self._lists[name]

    def outcomes(self, name: str) -> list[Outcome]:
        """Return what is stored of the volumes of a Job."""
        found = self.objects.get("configmaps", ledger_name(name))
        ledger = ledger_of(found) if found else Ledger.fresh("", len(self._lists[name]))
        return [ledger.outcome(index) for index in range(len(ledger))]

    def reports(self, name: str) -> list[Object]:
        """Return the lines of the failure reports of a Job."""
        parts = f"artefacts/{name}/_job/failures-"
        bodies = [body for key, body in self.store.objects.items() if key.startswith(parts)]
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    def says(self, name: str, kind: str = "Stalled") -> tuple[str, str]:
        """Return reason and message of a condition of a Job; both empty if it is false."""
        found = next((c for c in self.jobs[name].status.conditions if c.type == kind), None)
        true = found is not None and found.status == "True"
        return (found.reason, found.message) if found is not None and true else ("", "")

    # --- the API server

    def _answer(
        self, method: str, path: str, body: Object | None, query: Mapping[str, str]
    ) -> Object:
        if (method, address(path)[0]) == ("POST", "volumetasks"):
            assert body is not None
            self._check_start(body["spec"])
        if method == "DELETE" and not address(path)[1]:
            found = self.objects.selected(address(path)[0], query["labelSelector"])
            for each in found:
                self.objects.remove(address(path)[0], each["metadata"]["name"])
            return {"items": found}
        return self.objects.answer(method, path, body, query)

    def _check_start(self, task: Object) -> None:
        """Nothing starts before what it depends on."""
        name, volume = task["job"], self._lists[task["job"]][task["index"]]
        job = self.objects.get("jobs", name)
        assert job is not None
        for need in job["spec"]["dependsOn"]:
            marker = (need.get("job") or need["jobId"], volume)
            assert marker in self.markers, f"{name} starts {volume} before {marker[0]}"


def _list_key(name: str) -> str:
    return f"lists/{name}.csv"


def _marker_key(job_id: str, volume: Volume) -> str:
    folder = "-".join((volume.w_id, volume.i_id, volume.i_version)).rstrip("-")
    return f"artefacts/{job_id}/{folder}/{MARKER_NAME}"
