"""An attempt that just runs is not looked at in each pass, and nothing that matters is late."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bec_operator.api.job import JobSpec, SuspendMode
from bec_operator.api.names import task_name
from bec_operator.api.timeouts import Timeouts
from bec_operator.decide.attempts.actions import RecordTask, StopPod
from bec_operator.decide.attempts.skipped_looks import REST
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import (
    Fact,
    Facts,
    JobSeen,
    PodSeen,
    Report,
    TaskSeen,
    WorkerSeen,
)
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.actions import ReadMarker
from bec_operator.decide.volumes.ledger import Ledger
from bec_ops.contract.volume import Volume
from tests.unit.decide.steps import observe

SPEC = JobSpec.model_validate(
    {
        "volumes": {"items": [{"w_id": "W1", "i_id": "I1"}]},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "timeouts": {"task": "1m"},
    }
)
SILENT = SPEC.model_copy(update={"timeouts": Timeouts(heartbeat="30s")})
BEGAN = 100.0
VOLUME = Volume("W1", "I1")
TASK = TaskSeen("ns", task_name("j", VOLUME), "u", 1, "j", "j", 0)
POD = PodSeen("ns", TASK.pod, "p", 2, "j", TASK.name, "u", node="n", seen_running=BEGAN)


class Running:
    """A job whose only task runs, looked at as a pass does."""

    def __init__(self) -> None:
        self.memory = Memory(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC))
        self.memory.load([VOLUME], ["artefacts/"], Ledger.fresh("sha", 1), BEGAN)
        good = Fact(BEGAN)
        self.memory.facts = Facts(good, good, good, good, good, good)
        self.pod, self.worker, self.turned_away = POD, None, 0.0

    pod: PodSeen
    worker: WorkerSeen | None

    def look(self, now: float) -> list[type[Action]]:
        """Return what is to be done about the task."""
        pods = {self.pod.name: self.pod}
        observe(self.memory, [TASK], pods, now, lambda _: self.worker)
        standings = Standings.of(self.memory, pods)
        kinds = {ReadMarker, RecordTask, StopPod}
        seen = Scene(self.memory, pods, now, standings=standings, turned_away=self.turned_away)
        actions = decide(seen)
        return [type(action) for action in actions if type(action) in kinds]


def test_time_alone_ends_one_that_rests() -> None:
    running = Running()
    assert running.look(BEGAN + 1) == []
    late = [running.look(BEGAN + 60 + REST * step / 4) for step in range(1, 5)]
    assert StopPod in late[-1]


def test_between_two_looks_it_rests() -> None:
    running = Running()
    running.look(BEGAN + 5 - REST / 2)
    assert running.look(BEGAN + 5) == []  # it is time to record that it runs, and that can wait
    assert running.look(BEGAN + 5 + REST / 2) == [RecordTask]
    assert running.look(BEGAN + 5 + REST / 2) == [RecordTask]  # until it is done


def _end(running: Running) -> None:
    running.pod = replace(POD, version=3, worker_ended=True, exit_code=0, seen_ended=BEGAN + 1.1)


def _edit(running: Running) -> None:
    spec = SPEC.model_copy(update={"suspend": True, "suspend_mode": SuspendMode.STOP})
    running.memory.observe_job(replace(running.memory.job, generation=2, spec=spec))


@pytest.mark.parametrize(("change", "action"), [(_end, ReadMarker), (_edit, StopPod)])
def test_news_wakes_it(change: Callable[[Running], None], action: type[Action]) -> None:
    running = Running()
    assert running.look(BEGAN + 1) == []
    change(running)
    assert action in running.look(BEGAN + 1.2)


def test_a_worker_that_says_that_it_is_done_wakes_it() -> None:
    running = Running()
    running.worker = WorkerSeen("p", 1, BEGAN, BEGAN)
    running.look(BEGAN + 1)
    assert running.look(BEGAN + 1.1) == []
    running.worker = replace(running.worker, report=Report(BEGAN + 1.2))
    assert ReadMarker in running.look(BEGAN + 1.3)


def test_time_does_not_end_one_that_nobody_listens_to() -> None:
    running = Running()
    running.memory.job = replace(running.memory.job, spec=SILENT)
    running.worker = WorkerSeen("p", 1, BEGAN, BEGAN)
    for late in range(0, 100, 5):
        running.turned_away = BEGAN + min(late, 50)
        ended = StopPod in running.look(BEGAN + late)
        assert ended is (late >= 50 + 30), late
        if ended:
            break
