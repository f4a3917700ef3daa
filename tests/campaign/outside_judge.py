"""Judges Jobs whose workers were elsewhere: by what is on record, in S3, and by what was heard.

It asks nothing of the operator: VolumeTasks and the Job's status come from the API server.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bec_operator.api.volume_task import Attempt
from bec_ops.contract.marker import MARKER_NAME, InvalidMarker, Marker
from bec_ops.contract.volume import Volume
from tests.campaign.outside_road import Heard
from tests.campaign.outside_worker import Run
from tests.support.jobs import counts
from tests.support.kube import Body
from tests.support.space import Space


class Judge:
    """Judges one Job after the other; `wrong` has a sentence for each fault, `seen` figures."""

    def __init__(self, space: Space) -> None:
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self._space = space

    def judge(self, job: Body, volumes: Sequence[Volume], runs: Sequence[Run]) -> None:
        """See that no volume is lost, and that whatever was done twice has a reason on record."""
        name = job["metadata"]["name"]
        told = counts(job)
        ended = told.get("succeeded", 0) + told.get("failed", 0)
        if not ended == told["total"] == len(volumes):
            self.wrong.append(f"{name}: {len(volumes)} volumes, and the counts are {told}")
        tasks = {_volume(t): t for t in self._space.tasks() if t["spec"]["job"] == name}
        by_task = defaultdict[str, list[Run]](list)
        for run in runs:
            by_task[run.task.task_uid].append(run)
        for volume in volumes:
            if volume not in tasks:
                self.wrong.append(f"{name}: there is no VolumeTask of {volume}")
                continue
            of_volume = by_task[tasks[volume]["metadata"]["uid"]]
            found = self._faults(job, volume, tasks[volume], of_volume)
            self.wrong += [f"{name}: {volume.i_id}: {each}" for each in found]

    def _faults(self, job: Body, volume: Volume, task: Body, runs: Sequence[Run]) -> Iterator[str]:
        status = task.get("status", {})
        attempts = {a["number"]: Attempt.model_validate(a) for a in status.get("attempts", [])}
        phase = status.get("phase", "none")
        self.seen[phase] += 1
        for attempt in attempts.values():
            self.seen[f"attempts {attempt.failure or 'in order'}"] += 1
        yield from _of_runs(runs, attempts)
        self.seen["run to completion twice"] += sum(run.finished for run in runs) > 1
        marker = self._marker(job, volume, runs)
        yield from self._of_failures(runs, attempts, marker)
        if phase == "Succeeded":
            yield from self._of_success(job, marker, attempts)
        elif phase != "Failed":
            yield f"its phase is {phase}"
        elif not (attempts and attempts[max(attempts)].failure and attempts[max(attempts)].message):
            yield f"it failed, and no attempt says why: {attempts}"
        elif marker:
            self.seen["failed, and a marker came later"] += 1

    def _of_failures(
        self, runs: Sequence[Run], attempts: Mapping[int, Attempt], marker: Marker | str | None
    ) -> Iterator[str]:
        """See that a failure that was taken is on record.

        An operator that is killed forgets one that it has not written down: then the same process
        has the same attempt again. And a marker that an earlier attempt wrote late outweighs it.
        """
        given = Counter((run.task.attempt, run.session) for run in runs)
        extra = (marker.model_extra if isinstance(marker, Marker) else None) or {}
        for run in runs:
            number = run.task.attempt
            found = attempts.get(number)
            if ("failed", 200) not in run.said or found is None or found.failure:
                continue
            if given[number, run.session] > 1:
                self.seen["failures that a killed operator has forgotten"] += 1
            elif extra.get("attempt", number) != number:
                self.seen["failures that an earlier attempt's marker outweighs"] += 1
            else:
                yield f"attempt {number} has failed, and is on record as {found}"

    def _of_success(
        self, job: Body, marker: Marker | str | None, attempts: Mapping[int, Attempt]
    ) -> Iterator[str]:
        if not isinstance(marker, Marker):
            yield f"it has succeeded, and its marker is {marker or 'not there'}"
            return
        of_pods = {f"{each.pod}/{each.pod_uid}": each for each in attempts.values()}
        if marker.worker_id not in of_pods:
            yield f"its marker is of {marker.worker_id}, the attempts of {list(of_pods)}"
        more = marker.model_extra or {}
        if _is_written_on_done(job):
            if more.get("face") != "outside":
                yield f"its marker has the face {more.get('face')}"
            return
        writer = attempts.get(more.get("attempt", 0))
        if writer is None or writer.session != more.get("session"):
            yield f"its marker is of attempt {more}, on record are {attempts}"
        elif writer.failure:
            self.seen["succeeded by the marker of an attempt that is over"] += 1

    def _marker(self, job: Body, volume: Volume, runs: Sequence[Run]) -> Marker | str | None:
        prefixes = {run.task.prefix for run in runs}
        for key in (prefix + MARKER_NAME for prefix in prefixes):
            if key not in self._stored:
                continue
            try:
                return Marker.parse(self._space.read(key), job["metadata"]["name"], volume)
            except InvalidMarker as error:
                return str(error)
        return None

    def look(self) -> None:
        """Take in what stands in S3."""
        self._stored = set(self._space.stored())


def _of_runs(runs: Sequence[Run], attempts: Mapping[int, Attempt]) -> Iterator[str]:
    """Compare what workers had and said with what is on record."""
    oldest = min(attempts, default=0)
    for run in runs:
        number = run.task.attempt
        found = attempts.get(number)
        if found is None:
            if number >= oldest:
                yield f"attempt {number} was with {run.who}, and is not on record"
            continue
        if found.session != run.session:
            yield f"attempt {number} was with session {run.session}, on record is {found}"
        if run.finished and found.failure == "MarkerMissing":
            yield f"attempt {number} had its marker when it said done, on record is {found}"
        last = number == max(attempts)
        if run.finished and not last and not found.failure:
            yield f"attempt {number} was done, then others, and no reason is on record: {found}"
    given = Counter((run.task.attempt, run.session) for run in runs)
    if len({number for number, _ in given}) < len(given):
        yield f"an attempt was with several processes: {list(given)}"


def of_stale_sessions(heard: Sequence[Heard]) -> Iterator[str]:
    """Say which reports were taken though another process had come in before."""
    came = defaultdict[str, list[tuple[str, Heard]]](list)
    names: dict[tuple[str, str], str] = {}
    for each in heard:
        if each.call == "register":
            came[each.who].append((each.said["process"], each))
            if each.status == 200:
                names[each.who, each.told["session"]] = each.said["process"]
    for each in heard:
        if each.status != 200 or each.call not in {"heartbeat", "done", "failed", "log", "next"}:
            continue
        process = names.get((each.who, each.said["session"]))
        others = [r for p, r in came[each.who] if p != process and r.status == 200]
        before = max((r.sent for r in others if r.answered < each.sent), default=0.0)
        if before and all(r.answered < before for p, r in came[each.who] if p == process):
            yield f"{each.call} of session {each.said['session']} was taken: another had come in"


def _is_written_on_done(job: Body) -> bool:
    return str(job["spec"]["outside"]["marker"]) == "OnDone"


def _volume(task: Body) -> Volume:
    found = task["spec"]["volume"]
    return Volume(found["wId"], found["iId"], found.get("iVersion", ""))
