"""The world around the operator: what is durable, what pods do, and what is true of each volume."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.clock import Clock
from bec_operator.api.base import API_VERSION
from bec_operator.api.names import (
    GENERATION_ANNOTATION,
    JOB_LABEL,
    POOL_LABEL,
    TASK_LABEL,
    task_name,
)
from bec_operator.decide.sight.failures import FailureClass, class_of
from bec_operator.decide.sight.moments import iso
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME, InvalidMarker, Marker
from bec_ops.contract.protocol import TerminationMessage
from tests.unit.decide.fake_api import Object, Objects, owner_uid
from tests.unit.decide.fake_s3 import FakeStore
from tests.unit.decide.listing import MORE, VolumeList, volume
from tests.unit.decide.plan import Plan
from tests.unit.decide.receiving import Received

GOOD_MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}'
PREFIX = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"
NODES = ("node-1", "node-2")
NODE_LOST = 300.0  # seconds after which the operator calls a node lost


@dataclass(slots=True)
class Life:
    """What is true of one pod. `worker_end` is when its worker really ended."""

    name: str
    uid: str
    index: int
    attempt: int
    task_uid: str
    job_uid: str
    made: float
    begun: bool = False
    worker_end: float | None = None
    over: bool = False  # nothing of it runs any more
    failure: FailureClass | None = None
    taken_away: bool = False
    node: str = ""
    cut_off: bool = False  # its node was lost under it, and
    cut_off_long: bool = False  # for so long that it counts as lost
    zombie: bool = False  # its object is gone, and it runs on
    generation: int = 0  # of the Job that it was made from
    began: float = 0.0
    calls: list[float] = field(default_factory=list)  # that counted, and
    moves: list[float] = field(default_factory=list)  # those of them that were signs of progress
    told: set[FailureClass] = field(default_factory=set)  # what it said became of it
    verdict: FailureClass | None = None  # why an operator ended it, as its object says
    verdict_version: int = 0

    @property
    def busy(self) -> bool:
        """Whether its worker may still be at work, as far as anybody can know."""
        return self.worker_end is None and not self.zombie


class WorldClock(Clock):
    """The time, as the test lets it pass."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time


@dataclass
class World:
    """All that outlives an operator, and the deeds of everybody but the operator."""

    plan: Plan
    clock: WorldClock = field(default_factory=WorldClock)
    store: FakeStore = field(default_factory=FakeStore)
    shared: Objects | None = None  # the API server, if there are more Jobs in it
    lives: dict[str, Life] = field(default_factory=dict)  # pods by UID
    ended: dict[int, float] = field(default_factory=dict)  # index → end of its last attempt
    proven: dict[int, float] = field(default_factory=dict)  # index → when its marker came
    received: Received = field(default_factory=Received)
    quota_full: bool = False
    kubelet_away: bool = False  # no log can be had
    template_refused: bool = False
    stopped: bool = False  # somebody has asked for the tasks that run to be stopped
    down: dict[str, float] = field(default_factory=dict)  # nodes that are lost, and since when

    def __post_init__(self) -> None:
        self.name, self.job_id = self.plan.name, self.plan.job_id or self.plan.name
        self.objects = Objects(self.clock.now) if self.shared is None else self.shared
        self.volumes = [volume(number) for number in range(self.plan.volumes + MORE)]
        self.list = VolumeList(self.plan.source, self.plan.volumes, self.objects, self.store)
        self.index = {task_name(self.name, volume): n for n, volume in enumerate(self.volumes)}
        for index in self.plan.done_before:
            self.write_marker(index, GOOD_MARKER)
        for node in NODES:
            if self.objects.get("nodes", node) is None:
                self.objects.create("nodes", _node(node, "True", self.clock.now()))
        self.apply_job()

    # --- the user

    def apply_job(self) -> None:
        """Make the Job."""
        self.tick()
        self.born = self.clock.now()
        self.job_uid: str = self.objects.create(
            "jobs",
            {
                "apiVersion": API_VERSION,
                "kind": "Job",
                "metadata": {"name": self.name},
                "spec": {**self.plan.spec(), "volumes": self.list.source()},
            },
        )["metadata"]["uid"]

    @property
    def job(self) -> Object:
        """The Job as it stands."""
        found = self.objects.get("jobs", self.name)
        assert found is not None
        return found

    def edit_job(self, spec: Object) -> None:
        """Change some of the Job's spec."""
        self.tick()
        self.objects.edit("jobs", self.name, spec)

    def correct_job(self) -> None:
        """Correct what is wrong with the worker."""
        generation = self.job["metadata"]["generation"] + 1
        self.edit_job({"worker": {"parameters": {"of": generation}}})

    def suspend(self, mode: str) -> None:
        """Let the Job launch nothing."""
        self.stopped = self.stopped or mode == "Stop"
        self.edit_job({"suspend": True, "suspendMode": mode})

    def retry_failed(self) -> None:
        """Let what has failed so far be tried again."""
        self.tick(1.0)  # else the moment would be the same as the last one
        self.edit_job({"retryFailedAt": iso(self.clock.now())})

    @property
    def suspended(self) -> bool:
        """Whether the Job is to launch nothing."""
        return bool(self.job["spec"].get("suspend"))

    def change_list(self, members: Sequence[int]) -> None:
        """Change the list of volumes in place; inline ones by an edit of the Job."""
        self.tick()
        self.list.change(members)
        if self.list.kind == "items":
            self.edit_job({"volumes": self.list.source()})

    def replace_job(self) -> None:
        """Delete the Job, and apply it again; what the old one owned goes later."""
        self.list.start_anew()
        self.objects.remove("jobs", self.name)
        self.apply_job()

    def patch_status(self, plural: str, name: str, status: Object) -> None:
        """Write into a status as a foreign hand does."""
        self.tick()
        self.objects.patch(plural, name, {"status": status})

    # --- the cluster

    def tick(self, seconds: float = 0.001) -> None:
        """Let time pass."""
        self.clock.time += seconds

    def orphans(self) -> list[tuple[str, str]]:
        """Return kind and name of the objects whose owner is gone."""
        uids = {o["metadata"]["uid"] for kind in ("jobs", "volumetasks") for o in self.all(kind)}
        return [
            (kind, found["metadata"]["name"])
            for kind in ("configmaps", "volumetasks", "pods")
            for found in self.all(kind)
            if owner_uid(found) not in {*uids, ""} and "deletionTimestamp" not in found["metadata"]
        ]

    def collect_garbage(self) -> None:
        """Delete one object whose owner is gone."""
        for kind, name in self.orphans()[:1]:
            self.delete(kind, name)

    def all(self, plural: str) -> list[Object]:
        """Return all objects of a kind, but for those of other Jobs."""
        return [found for found in self.objects.all(plural) if is_of(plural, found, self.name)]

    def delete(self, plural: str, name: str) -> None:
        """Delete an object as kubectl does."""
        self.tick()
        self.note_deletion(plural, name)
        self.objects.delete(plural, name)

    def note_deletion(self, plural: str, name: str, *, force: bool = False) -> None:
        """Take down what a deletion means for a pod; by `force` its worker may run on."""
        found = self.objects.get(plural, name)
        if plural != "pods" or found is None:
            return
        life = self.lives[found["metadata"]["uid"]]
        if life.worker_end is None:
            life.taken_away = True
            life.zombie = force
        if force or not found["spec"].get("nodeName"):
            self._end(life)

    # --- the kubelet, and what workers do

    def admit_pod(self) -> None:
        """Refuse a pod that is to be made, if it is to be."""
        if self.quota_full:
            raise ApiError(403, "Forbidden", "pods is forbidden: exceeded quota: few")
        if self.template_refused:
            raise ApiError(422, "Invalid", "spec.containers[0].image: Required value")

    def hides_log(self, name: str) -> bool:
        """Whether the log of a pod cannot be had."""
        lives = [life for life in self.pods() if life.name == name]
        return self.kubelet_away or any(life.node in self.down for life in lives)

    def note_pod(self, made: Object) -> None:
        """Take in a pod that was made."""
        meta = made["metadata"]
        task, attempt = meta["labels"][TASK_LABEL], int(meta["name"].rsplit("-", 1)[1])
        uids = (owner_uid(made), self._owner_of(owner_uid(made)))
        life = Life(meta["name"], meta["uid"], self.index[task], attempt, *uids, self.clock.now())
        self.lives[life.uid] = life
        life.generation = int(meta["annotations"][GENERATION_ANNOTATION])

    def _owner_of(self, task_uid: str) -> str:
        tasks = [task for task in self.all("volumetasks") if task["metadata"]["uid"] == task_uid]
        return owner_uid(tasks[0]) if tasks else ""

    def pods(self) -> list[Life]:
        """Return the pods whose objects are there."""
        return [self.lives[pod["metadata"]["uid"]] for pod in self.all("pods") if _ours(pod)]

    def zombies(self) -> list[Life]:
        """Return the pods that run on though their objects are gone."""
        return [life for life in self.lives.values() if life.zombie]

    def old_pods(self) -> list[Life]:
        """Return the pods that are alive and whose tasks are gone."""
        tasks = {task["metadata"]["uid"] for task in self.all("volumetasks")}
        return [life for life in self.pods() if not life.over and life.task_uid not in tasks]

    def is_deleting(self, life: Life) -> bool:
        """Whether somebody asked for a pod to be ended."""
        pod = self.objects.get("pods", life.name)
        return pod is not None and "deletionTimestamp" in pod["metadata"]

    def start(self, life: Life, node: str = "") -> None:
        """Let a pod get a node, this one if it is named, and its worker run."""
        life.begun, life.began = True, self.clock.now()
        life.node = node or next(node for node in NODES if node not in self.down)
        pod = self.objects.get("pods", life.name)
        assert pod is not None
        spec = {**pod["spec"], "nodeName": life.node}
        status = {"phase": "Running", "containerStatuses": [_worker({"running": {}})]}
        self._change(life, {"spec": spec, "status": status})

    def end_worker(
        self, life: Life, exit_code: int, reason: str = "Error", message: str = "so it ended"
    ) -> None:
        """Let the worker end by itself."""
        if life.worker_end is None and not life.taken_away:
            life.failure = _failure(exit_code, reason, message)
        state = {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}
        if not self.plan.sidecar:
            self._end(life)
        self._note_end(life)
        phase = "Running" if self.plan.sidecar else "Failed" if exit_code else "Succeeded"
        self._change(life, {"status": {"phase": phase, "containerStatuses": [_worker(state)]}})

    def end_sidecar(self, life: Life) -> None:
        """Let the rest of a pod end, after its worker."""
        self._end(life)
        self._change(life, {"status": {"phase": "Succeeded"}})

    def evict(self, life: Life) -> None:
        """Let the kubelet evict a pod."""
        life.taken_away = life.taken_away or life.worker_end is None
        self._end(life)
        status = {"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"}
        self._change(life, {"status": status})

    def remove_pod(self, life: Life, *, runs_on: bool = False) -> None:
        """Let a pod's object go: its grace is over, or somebody forced it."""
        if life.worker_end is None:
            life.taken_away = True
            life.zombie = runs_on
        self._end(life)
        self.tick()
        self.objects.remove("pods", life.name)

    def lose_node(self, node: str, *, gone: bool = False) -> None:
        """Let nobody hear of a node, and the cluster ask for the end of its pods."""
        self.tick()
        self.down[node] = self.clock.now()
        if gone:
            self.objects.remove("nodes", node)
        else:
            self.objects.patch("nodes", node, _node(node, "Unknown", self.clock.now()))
        target = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        for life in self.pods():
            if life.node == node and not life.over:
                life.cut_off, life.cut_off_long = True, gone
                self._change(life, {"status": {"conditions": [target]}})
                self.delete("pods", life.name)

    def bring_back(self, node: str) -> None:
        """Let a node be heard of again; it ends what should not run on it."""
        self.tick()
        for life in self.lives.values():
            if life.node == node:
                life.cut_off_long = life.cut_off_long or self.is_lost(life)
                life.zombie = False
        del self.down[node]
        if self.objects.get("nodes", node) is None:
            self.objects.create("nodes", _node(node, "True", self.clock.now()))
        else:
            self.objects.patch("nodes", node, _node(node, "True", self.clock.now()))

    def is_lost(self, life: Life) -> bool:
        """Whether the node of a pod was lost under it for as long as a look has to show."""
        since = self.down.get(life.node, self.clock.now())
        return life.cut_off and (life.cut_off_long or self.clock.now() - since >= NODE_LOST - 1)

    def write_marker(self, index: int, body: bytes) -> None:
        """Put a marker, whole or truncated."""
        self.tick()
        self.store.objects[self._marker_key(index)] = body
        if self.has_marker(index):
            self.proven.setdefault(index, self.clock.now())

    def has_marker(self, index: int) -> bool:
        """Whether a valid marker stands."""
        body = self.store.objects.get(self._marker_key(index))
        try:
            return body is not None and bool(Marker.parse(body, self.job_id, self.volumes[index]))
        except InvalidMarker:
            return False

    def is_proven(self, index: int) -> bool:
        """Whether a look made after the last attempt's end is bound to find a valid marker."""
        last = max(self.ended.get(index, 0.0), self.born)
        return self.proven.get(index, float("inf")) <= last

    def _marker_key(self, index: int) -> str:
        prefix = OutputTemplate.parse(PREFIX).prefix(self.job_id, self.volumes[index])
        return prefix + MARKER_NAME

    def _note_end(self, life: Life) -> None:
        if life.worker_end is None:
            life.worker_end = self.clock.now()
            self.ended[life.index] = self.clock.now()

    def _end(self, life: Life) -> None:
        self._note_end(life)
        life.over = True

    def _change(self, life: Life, patch: Object) -> None:
        self.tick()
        self.objects.patch("pods", life.name, patch)


def is_of(plural: str, found: Object, job: str) -> bool:
    """Whether an object is of a Job, or of none, and no pod of a pool."""
    labels = found["metadata"].get("labels", {})
    mine = found["metadata"]["name"] if plural == "jobs" else labels.get(JOB_LABEL, job)
    return bool(mine == job) and POOL_LABEL not in labels


def _ours(pod: Object) -> bool:
    return JOB_LABEL in pod["metadata"].get("labels", {})


def _node(name: str, ready: str, since: float) -> Object:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": iso(since)}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def _worker(state: Object) -> Object:
    return {"name": "worker", "state": state}


def _failure(exit_code: int, reason: str, message: str) -> FailureClass:
    if reason == "OOMKilled":
        return FailureClass.OUT_OF_MEMORY
    by_code = {
        0: FailureClass.MARKER_MISSING,
        65: FailureClass.TERMINAL,
    }
    if exit_code not in by_code and message.startswith("{"):
        return class_of(TerminationMessage.model_validate_json(message).failure)
    return by_code.get(exit_code, FailureClass.RETRYABLE)
