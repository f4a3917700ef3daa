"""The rules that always hold, checked at every request that the operator gets through.

The numbers are those of "What always holds" in docs/design.md.
"""

import csv
from collections.abc import Mapping

from bec_operator.act.ground.api_server import ApiError
from bec_operator.api.job import JobPhase, JobStatus
from bec_operator.api.names import ledger_name
from bec_operator.api.volume_task import Attempt, TaskPhase, VolumeTaskStatus
from bec_operator.decide.attempts.retrying import is_final
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.failures import RULES, FailureClass, class_of
from bec_operator.decide.sight.moments import epoch
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.results import OUTCOMES
from tests.unit.decide.fake_api import NAMESPACE, Object, address
from tests.unit.decide.fence import Fence
from tests.unit.decide.objects import (
    check_credentials,
    failures,
    is_misconfigured,
    uid,
    verdict,
    wanted_uid,
)
from tests.unit.decide.process import Process
from tests.unit.decide.stored import Stored
from tests.unit.decide.world import Life, World

BAD_HOST = "BadHost"  # what an attempt is called that does not count, whatever it was before
BLAMED = {
    FailureClass.RETRYABLE,
    FailureClass.SILENT,
    FailureClass.STUCK,
    FailureClass.TOO_LONG,
    FailureClass.START_TIMEOUT,
}
FOREIGN_TOTAL = 99  # what a foreign hand writes as the number of volumes


class Guard(Stored):
    """Stands before the API server: what breaks a rule fails the test.

    `alone` is whether there was never more than one operator at a time: two that do not know of
    each other may exceed the window for a moment, but must still hold all else.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.fence = Fence(world)
        self.alone = True
        self.writes: list[str] = []
        self._totals: set[tuple[str, int]] = set()  # volumes in the ledgers of each Job
        self._missed: dict[str, float] = {}  # name of a pod → when a look showed that it is gone
        self._aware: set[str] = set()  # UIDs of pods whose verdict the operator has seen
        self._wrong: Life | None = None  # whose end was recorded as the fault of the Job's spec
        self._wrong_at_start = ("", 0)  # UID and generation of the Job that said so at the start

    def note_start(self) -> None:
        """Take down that an operator begins, and knows nothing."""
        self.fence.started = self._world.clock.now()
        self._aware.clear()
        self._wrong = None
        generation = self._world.job["metadata"]["generation"]
        self._wrong_at_start = (self._world.job_uid, generation) if self.misconfigured else ("", 0)

    def check_pass(self, operator: Process, begun: list[str]) -> None:
        """Judge what a pass begins, by its labels."""
        if self.alone and self._knows_misconfigured(operator):
            launches = [
                action for action in begun if action.startswith(("CreatePod", "CreateTask"))
            ]
            assert not launches, f"the Job is misconfigured, and it launches {launches}"
        for life in self._world.lives.values():
            pod = operator.ctx.cache.pods.get(NAMESPACE, life.name)
            if life.verdict and pod and pod.uid == life.uid and pod.version >= life.verdict_version:
                self._aware.add(life.uid)

    def _knows_misconfigured(self, operator: Process) -> bool:
        """Whether an operator has been told that the Job, as it is, is misconfigured."""
        job = operator.ctx.cache.jobs.get(NAMESPACE, self._world.name)
        now = (self._world.job_uid, self._world.job["metadata"]["generation"])
        if job is None or (job.uid, job.generation) != now:
            return False
        wrong = self._wrong
        if self._wrong_at_start == now:
            return True
        if wrong is None or (wrong.job_uid, wrong.generation) != now:
            return False
        tasks = operator.ctx.cache.tasks.all()
        return any(t.uid == wrong.task_uid and len(t.failed) >= wrong.attempt for t in tasks)

    @property
    def misconfigured(self) -> bool:
        """Whether the Job waits for its spec to be corrected."""
        return is_misconfigured(self.status(), self._world.job["metadata"]["generation"])

    def answer(
        self, method: str, path: str, body: Object | None, query: Mapping[str, str]
    ) -> Object:
        """Answer a request of an operator, if it breaks no rule."""
        world = self._world
        world.tick()
        plural, name = address(path)
        if method == "GET":
            if path.endswith("/log") and world.hides_log(name):
                raise ApiError(500, "InternalError", "the kubelet does not answer")
            self._note_look(plural, name)
            return world.objects.answer(method, path, body, query)
        if method == "DELETE" and not name:
            return self._delete_together(path, plural, query)
        name = name or (body or {}).get("metadata", {}).get("name", "")
        if (method, plural) == ("POST", "pods"):
            world.admit_pod()
        before = world.objects.get(plural, name)
        if method == "DELETE" and before is not None and uid(before) == wanted_uid(body):
            force = (body or {}).get("gracePeriodSeconds") == 0
            if force:
                self._check_force(before)
            world.note_deletion(plural, name, force=force)
            self._check_deletion(plural, before)
        answer = world.objects.answer(method, path, body, query)
        if "dryRun" not in query:
            self.writes.append(f"{method} {path}")
            self._check_write(method, plural, before, world.objects.get(plural, name))
        return answer

    def _delete_together(self, path: str, plural: str, query: Mapping[str, str]) -> Object:
        """Delete what a label selector says, each under all rules."""
        found = self._world.objects.selected(plural, query["labelSelector"])
        for each in found:
            options = {"preconditions": {"uid": uid(each)}}
            self.answer("DELETE", f"{path}/{each['metadata']['name']}", options, {})
        return {"items": found}

    def _note_look(self, plural: str, name: str) -> None:
        """Take down that somebody saw for himself that a pod is not there."""
        if plural == "pods" and name and self._world.objects.get(plural, name) is None:
            self._missed[name] = self._world.clock.now()

    def _check_write(
        self, method: str, plural: str, before: Object | None, after: Object | None
    ) -> None:
        if after is None or after is before:
            return
        if method == "POST" and plural == "pods":
            self._world.note_pod(after)
            self._check_pod(after)
            check_credentials(after)
        elif plural == "pods" and before is not None:
            self._check_verdict(before, after)
        elif method == "POST" and plural == "volumetasks":
            self._check_task(after)
        elif plural == "volumetasks" and before is not None:
            self._check_record(before, after)
        elif plural == "configmaps":
            self._check_ledger(before, after)
        elif plural == "jobs":
            self._check_status(after)

    def _check_pod(self, made: Object) -> None:
        world, life = self._world, self._world.lives[made["metadata"]["uid"]]
        others = [
            other
            for other in world.lives.values()
            if other.index == life.index and other is not life and not (other.over or other.zombie)
        ]
        assert not others, f"rule 2: {life.name} beside {[other.name for other in others]}"
        task = next((t for t in world.all("volumetasks") if uid(t) == life.task_uid), None)
        if task is None or not self._is_ours(task):
            return  # somebody deleted it, or its Job, just now; the pod goes with it
        assert not world.is_proven(life.index), f"rule 1: {life.name} though its marker stands"
        ended = failures(task)
        assert life.attempt <= len(ended) + 1, f"{life.name}: an attempt was left out"
        assert not is_final(ended, world.plan.budget), f"{life.name}: there was no attempt left"
        if self.alone:
            live = [other for other in world.lives.values() if not (other.over or other.zombie)]
            assert len(live) <= world.plan.parallelism, f"rule 7: {len(live)} pods are alive"
            assert life.attempt == len(ended) + 1, f"{life.name}: an old attempt again"
            assert self.stored(life.index) is Outcome.WAITING, f"rule 1: {life.name} is settled"

    def _check_task(self, made: Object) -> None:
        world = self._world
        index = made["spec"]["index"]
        if not (self.alone and self._is_ours(made)):
            return
        assert self.stored(index) is Outcome.WAITING, f"a task for volume {index}, which is settled"
        active = self.active()
        assert active <= world.plan.parallelism, f"rule 7: {active} tasks are active"

    def _check_record(self, before: Object, after: Object) -> None:
        world, index = self._world, after["spec"]["index"]
        if not self._is_ours(after):
            return
        status = VolumeTaskStatus.model_validate(after["status"])
        if status.phase is TaskPhase.SUCCEEDED:
            assert world.has_marker(index), f"rule 1: task {index} succeeded without a marker"
        old, new = failures(before), failures(after)
        assert _is_continued(old, new), f"rule 4: task {index} lost an attempt"
        if status.phase in {TaskPhase.FAILED, TaskPhase.RETRYING}:
            final = is_final(new, world.plan.budget)
            assert (status.phase is TaskPhase.FAILED) == final, f"task {index}: {status.phase}"
            assert not world.is_proven(index), f"rule 1: an attempt at {index} failed with a marker"
        counted = [failure for failure in new if not RULES[failure].free]
        assert len(counted) <= world.plan.limit, f"task {index} had {len(counted)} attempts"
        for number in range(len(old) + 1, len(new) + 1):
            self._check_end(uid(after), number, new[number - 1])
            self._check_words(status.attempts[number - 1])
            if new[number - 1] is FailureClass.MISCONFIGURED:
                self._note_misconfigured(status.attempts[number - 1])

    def _note_misconfigured(self, ended: Attempt) -> None:
        """Take down that the Job is set up wrongly, if it was its present spec that failed."""
        life = self._world.lives.get(ended.pod_uid)
        if life is not None and life.generation == self._world.job["metadata"]["generation"]:
            self._wrong = life

    def _check_words(self, ended: Attempt) -> None:
        assert ended.message, f"rule 6: a failure without a sentence: {ended}"
        scheme, bucket, rest = "s3://", self._world.job["spec"]["output"]["bucket"], ended.log
        key = rest.removeprefix(f"{scheme}{bucket}/")
        kept = key in self._world.store.objects
        assert kept or rest.startswith("lost: "), f"rule 6: nobody knows of the log of {ended}"

    def _check_verdict(self, before: Object, after: Object) -> None:
        """An attempt is ended only for what it has earned."""
        reason = verdict(after)
        life = self._world.lives[uid(after)]
        if not reason or reason == verdict(before):
            return
        failure = class_of(reason)
        earned = self.fence.has_earned(life, failure, alone=self.alone)
        assert earned, f"rule 3: {life} has not earned to be called {reason}"
        if life.worker_end is None:
            life.verdict = failure
            life.verdict_version = int(after["metadata"]["resourceVersion"])

    def _check_end(self, task_uid: str, attempt: int, failure: FailureClass) -> None:
        """An attempt is over only if its pods are, and its class is what really happened."""
        there = {uid(p): "deletionTimestamp" in p["metadata"] for p in self._world.all("pods")}
        lives = [
            life
            for life in self._world.lives.values()
            if (life.task_uid, life.attempt) == (task_uid, attempt)
        ]
        for life in lives:
            # Another operator may have made it since somebody looked: then it has to go again.
            new = not self.alone and life.made >= self._missed.get(life.name, life.made + 1)
            assert new or not life.busy, (
                f"rule 2: {life.name} is called {failure.label} and still runs"
            )
        verdicts = {
            life.verdict
            for life in lives
            if life.verdict and (life.uid in there or (self.alone and life.uid in self._aware))
        }
        if failure.label == BAD_HOST:
            true = {life.failure or life.verdict for life in lives}
            assert true & BLAMED, f"rule 3: {true} is no fault of a host"
        elif verdicts:
            assert failure in verdicts, f"rule 3: {failure.label}, but {verdicts} was the verdict"
        elif failure in {FailureClass.DISRUPTED, FailureClass.NODE_LOST}:
            taken = all(life.taken_away or there.get(life.uid, True) for life in lives)
            assert taken, f"rule 6: {lives} were not taken away"
            lost = failure is FailureClass.NODE_LOST
            assert not lost or any(life.cut_off for life in lives), f"rule 6: {lives} had a node"
        else:
            true = set().union(*(_possible(life, gone=life.uid not in there) for life in lives))
            assert failure in true, f"rule 3: {failure.label} did not happen, but {true}"

    def _check_ledger(self, before: Object | None, after: Object) -> None:
        old, new = self.ledger(before) if before else None, self.ledger(after)
        if new is None:
            return  # of a Job that is gone
        self._check_manifest(old, new)
        for index in range(len(new)):
            was = old.outcome(index) if old and index < len(old) else Outcome.WAITING
            now = new.outcome(index)
            if was is now:
                continue
            self._check_told(index, now)
            if now is Outcome.WAITING:
                assert was is Outcome.FAILED, f"rule 4: volume {index} was {was.name}"
                assert _retried(before) != _retried(after), f"rule 4: volume {index} is lost"
                continue
            assert was is Outcome.WAITING, f"rule 4: volume {index} was {was.name}, is {now.name}"
            if now is Outcome.SUCCEEDED:
                assert self._world.has_marker(index), f"rule 1: {index} succeeded without a marker"
            else:
                self._check_failure(index)

    def _check_told(self, index: int, outcome: Outcome) -> None:
        """What the ledger says stands in the outbox, or all have got it."""
        if not self._world.plan.results:
            return
        name, job = OUTCOMES[outcome], self._world.job_uid
        waits = any(line["outcome"] == name for line in self.outbox(index))
        had = [
            each.outcome
            for each in self._world.received.sql
            if each.job_uid == job and each.index == index
        ]
        assert waits or name in had, f"volume {index} is {name} in the ledger, and nobody is told"

    def check_delivered(self) -> None:
        """When nothing happens any more, all have what the ledger says, and nothing waits."""
        ledger, job = self.ledger(), self._world.job_uid
        assert ledger is not None
        left = [
            key for key in self._world.store.objects if key.startswith(f"{self.reports}outbox-")
        ]
        # Another operator may have written one after the last look: what the ledger has, all have.
        assert not (left and self.alone), f"{left} wait, and the Job has ended"
        told = find(self.status(), "ResultsDelivered")
        assert told is not None
        assert told.status == "True", f"the Job says {told}"
        truth = {i: OUTCOMES[ledger.outcome(i)] for i in range(len(ledger))}
        for who, had in self._world.received.outcomes(job).items():
            settled = {i: o for i, o in truth.items() if o != "waiting"}
            known = {i: o for i, o in had.items() if o != "waiting"}
            assert settled.items() <= known.items(), f"{who} has {had}, and the ledger {truth}"

    def _check_manifest(self, old: Ledger | None, new: Ledger) -> None:
        """The manifest that a ledger names is there, and its volumes are where they were."""
        volumes = self.frozen(new)
        assert len(volumes) == len(new), f"{len(new)} volumes in the ledger, {len(volumes)} frozen"
        before = self.frozen(old) if old is not None else []
        assert volumes[: len(before)] == before, "volumes were moved in the manifest"
        assert volumes == self._world.volumes[: len(volumes)], "volumes came in a wrong order"
        self._totals.add((self._world.job_uid, len(new)))

    def _check_failure(self, index: int) -> None:
        assert not self._world.is_proven(index), f"rule 1: {index} failed with a marker"
        lines = self.reported(index)
        assert lines, f"rule 4: volume {index} failed, and no report says so"
        for line in lines:
            assert line["class"], f"rule 6: {line} has no class"
            assert line["class"] != "Misconfigured", f"the Job's fault, not that of {index}: {line}"
            assert line["message"], f"rule 6: {line} has no message"
            ended = [class_of(attempt["failure"]) for attempt in line["attempts"]]
            untried = self._world.plan.depends_on and line["class"] == "DependencyFailed"
            assert untried or is_final(ended, self._world.plan.budget), f"volume {index}: {line}"

    def _check_status(self, after: Object) -> None:
        status = JobStatus.model_validate(after["status"])
        counts = status.counts
        if counts.total not in {0, FOREIGN_TOTAL}:  # not counted yet, or counted by others
            known = (self._world.job_uid, counts.total)
            assert known in self._totals, f"rule 6: {counts}"
            parts = counts.waiting + counts.queued + counts.running + counts.retrying
            assert parts + counts.finished == counts.total, f"rule 6: {counts}"
        if not status.terminal:
            return
        ledger = self.ledger()
        assert ledger is not None, "rule 4: the Job ended without a ledger"
        settled = tuple(map(ledger.count, (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED)))
        exact = settled == (counts.succeeded, counts.failed, counts.skipped)
        # Of two operators one may know of more failures; either way there are too many.
        assert exact or (not self.alone and status.phase is JobPhase.FAILED), (
            f"rule 6: {counts}, stored {settled}"
        )
        if self.alone:
            self._check_compiled(ledger)
        if status.phase is JobPhase.COMPLETE and not self.alone:
            return  # the other may have added volumes just now; it will say that the Job goes on
        if status.phase is JobPhase.COMPLETE:
            assert sum(settled) == len(ledger), "rule 6: the Job is complete, and volumes wait"
            left_out = set(self._world.list.members) - set(range(len(ledger)))
            read = self._world.list.was_read and not self._world.list.is_bad
            assert not (left_out and read), f"volumes {left_out} of the list were left out"
        else:
            assert self.is_hopeless(), f"rule 6: {counts} is not too many"

    def _is_outdated(self, task: Object) -> bool:
        """Whether a task ended before what had failed was opened again."""
        finished = (task.get("status") or {}).get("finishedAt")
        ledger = self._world.objects.get("configmaps", ledger_name(self._world.name))
        return finished is not None and epoch(str(finished)) <= _honoured(ledger)

    def _check_compiled(self, ledger: Ledger) -> None:
        """Before people are told of the end, `report.csv` has each failed volume, and no other."""
        text = self._world.store.objects.get(f"{self.reports}report.csv", b"").decode()
        told = {row["i_id"]: row for row in csv.DictReader(text.splitlines())}
        failed = {self._world.volumes[index].i_id: index for index in ledger.unsuccessful()}
        assert told.keys() == failed.keys(), f"rule 6: report.csv has {list(told)}, not {failed}"
        for i_id, row in told.items():
            line = self.reported(failed[i_id])[-1]
            said = (line["class"], str(len(line["attempts"])))
            assert (row["class"], row["attempts"]) == said, f"rule 6: {row}, reported {line}"

    def check_end(self) -> None:
        """When all is well and all pods have ended, the Job has ended, too; it counts right."""
        status, ledger = self.status(), self.ledger()
        assert status.terminal, f"the Job never ends: {status}"
        assert ledger is not None
        for index in range(len(ledger)):
            if ledger.outcome(index) is Outcome.SUCCEEDED:
                assert self._world.has_marker(index)
            elif ledger.outcome(index) is Outcome.FAILED:
                assert self.reported(index)
        done_before = len(self._world.plan.done_before)
        assert done_before <= status.counts.already_done <= status.counts.succeeded

    def _check_force(self, found: Object) -> None:
        life = self._world.lives[uid(found)]
        assert self._world.is_lost(life), f"rule 2: {life.name} goes by force, its node is well"

    def _check_deletion(self, plural: str, found: Object) -> None:
        ended = self.status().terminal
        if plural == "volumetasks":
            index = found["spec"]["index"]
            if not self._is_ours(found):
                return
            if self._is_outdated(found):
                return
            if not ended or is_final(failures(found), self._world.plan.budget):
                assert self.stored(index) is not Outcome.WAITING, f"rule 4: task {index} is lost"
        else:
            life = self._world.lives[uid(found)]
            tasks = [t for t in self._world.all("volumetasks") if uid(t) == life.task_uid]
            if not (tasks and self._is_ours(tasks[0])):
                return
            done = ended or self._world.has_marker(life.index) or life.worker_end is not None
            done = done or life.verdict is not None
            done = done or (not self.alone and life.attempt <= len(failures(tasks[0])))
            assert done, f"a busy pod is deleted: {life.name}"


def _is_continued(old: list[FailureClass], new: list[FailureClass]) -> bool:
    """Whether all attempts are still told; of one it may have come out that its host was broken."""
    if len(new) < len(old):
        return False
    excused = {was for was, now in zip(old, new, strict=False) if was is not now}
    renamed = [now for was, now in zip(old, new, strict=False) if was is not now]
    return excused <= BLAMED and all(now.label == BAD_HOST for now in renamed)


def _honoured(ledger: Object | None) -> float:
    """Return when a stored ledger has opened again what had failed; 0 if it never has."""
    moment = ledger["data"].get("retryFailedAt.honoured") if ledger is not None else None
    return epoch(moment) if moment else 0.0


def _retried(ledger: Object | None) -> str:
    """Return the wish to try again that a stored ledger has honoured."""
    return str(ledger["data"].get("retryFailedAt", "")) if ledger is not None else ""


def _possible(life: Life, *, gone: bool) -> set[FailureClass | None]:
    """Return what the end of a pod may be called: a pod that is gone is judged by its last word."""
    return {life.failure, life.verdict, *(life.told if gone or life.taken_away else ())}
