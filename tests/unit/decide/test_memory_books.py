"""The books of one Job: what is counted once, what does not grow, what hides nothing else."""

from dataclasses import replace
from typing import Any

from bec_operator.api.job import JobSpec
from bec_operator.api.volume_task import Attempt, VolumeTaskStatus
from bec_operator.decide.attempts.folding import KEPT, fold
from bec_operator.decide.attempts.retrying import Budget, is_final
from bec_operator.decide.jobs.checks import may_launch
from bec_operator.decide.jobs.marker_reads import READS_AT_ONCE
from bec_operator.decide.memory.marker_findings import note_reading, note_reading_begun, note_swept
from bec_operator.decide.memory.marker_rounds import MOST_UNREAD
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Fact, JobSeen, MarkerSeen, MarkerState, PodSeen, TaskSeen
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.marker_retry_times import Unread
from bec_ops.contract.protocol import Progress
from bec_ops.contract.volume import Volume
from tests.unit.decide.plan import Plan
from tests.unit.decide.plays import the_operator, until_it_calls
from tests.unit.decide.stage import Stage
from tests.unit.decide.steps import read

NOW = 1000.0
LONG_WORDS = "0/40 nodes are available: " + 20 * "12 Insufficient nvidia.com/gpu, "


def _memory(volumes: int, **status: Any) -> Memory:
    spec = JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/l.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": "b"},
        }
    )
    memory = Memory(JobSeen("ns", "j", "j", 1, 1, "1", spec))
    named = [Volume("W", f"I{number}") for number in range(volumes)]
    memory.load(named, [f"a/{v.i_id}/" for v in named], Ledger.fresh("sha", volumes), NOW)
    good = Fact(NOW)
    facts = memory.facts
    facts.storage = facts.template = facts.conflict = facts.gates = good
    if status:
        memory.job = replace(memory.job, status=memory.job.status.model_copy(update=status))
    note_swept(memory, frozenset(range(volumes)), volumes, NOW)
    return memory


# --- the rate


def test_what_a_worker_got_done_is_counted_once() -> None:
    """Its last heartbeat told of 450 pages, its marker of 480."""
    stage = Stage(Plan(volumes=1, parallelism=1))
    life = until_it_calls(stage).life
    operator = the_operator(stage)
    pod = operator.ctx.cache.pods.get("bec", life.name)
    assert pod is not None
    told = Progress(done=450, total=480, unit="pages")
    operator.ctx.cache.workers.note_call(pod, 1, stage.world.clock.now(), told, 450)
    stage.let_pass([11.0])
    memory = operator.memory
    assert memory is not None
    throughput = memory.books.throughput
    assert throughput.total == 450
    body = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z", "total_images": 480}'
    stage.write(life.index, body)
    stage.world.end_worker(life, 0)
    for _ in range(4):
        stage.let_pass([0.1])
        assert throughput.total in {450, 480}
    assert throughput.total == 480


# --- markers that nobody can read


def test_markers_of_which_s3_tells_nothing_are_asked_for_ever_more_rarely() -> None:
    """A policy on the keys: 20,000 markers were asked for 800 times a second, without end."""
    memory, now, asked = _memory(3000), NOW, 0
    while now < NOW + 3600.0:
        indices = read(memory, now)
        for index in indices:
            note_reading_begun(memory, index)
            unknown = MarkerSeen(MarkerState.UNKNOWN, now)
            note_reading(memory, index, unknown, Fact(now, "StorageForbidden", "no"))
        asked += len(indices)
        now += 0.5
    assert len(memory.books.markers.unread) == MOST_UNREAD
    assert 20 * 3000 < asked < 70 * 3000  # a round a minute, not one every 24 seconds


def test_a_marker_that_is_told_brings_the_next_round_at_once() -> None:
    memory = _memory(3)
    for state, trouble in ((MarkerState.UNKNOWN, Fact(NOW, "x", "y")), (MarkerState.ABSENT, None)):
        read(memory, NOW)
        note_reading(memory, 0, MarkerSeen(state, NOW), trouble)
    memory.books.markers.turn(0, NOW, over=True)
    assert memory.books.markers.rounds_unanswered == 0


# --- a ledger that somebody else writes


def test_a_ledger_that_is_written_by_others_again_and_again_is_read_ever_more_rarely() -> None:
    memory = _memory(2)
    memory.lose_ledger(NOW)
    assert memory.facts.manifest is None  # once is no matter
    waits: list[float] = []
    for number in range(1, 8):
        memory.lose_ledger(NOW + number)
        fact = memory.facts.manifest
        assert fact is not None
        assert fact.reason == "LedgerChanged"
        waits.append(fact.at - NOW - number)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    memory.lose_ledger(NOW + 200.0)
    assert memory.facts.manifest is None


def test_what_cannot_be_read_hides_nothing_behind_it() -> None:
    memory = _memory(1000)
    for index in range(READS_AT_ONCE):
        memory.books.markers.unread[index] = Unread(Fact(NOW, "StorageForbidden", "x"))
    assert read(memory, NOW + 1) == list(range(READS_AT_ONCE, 2 * READS_AT_ONCE))


def test_all_markers_have_their_turn_though_none_can_be_read() -> None:
    memory, asked = _memory(1000), set[int]()
    now = NOW
    for _ in range(40):
        now += 6.0
        for index in read(memory, now):
            asked.add(index)
            memory.books.markers.unread[index] = Unread(Fact(now, "StorageForbidden", "x"))
    assert asked == set(range(1000))


# --- attempts without end


def _attempt(number: int, failure: FailureClass) -> Attempt:
    name = f"w1kg1234-i1kg1235-1a2b3c-abcdefghijklm-{number}"
    return Attempt(
        number=number, pod=name, pod_uid="8c5f1d0e", failure=failure.label, message=LONG_WORDS
    )


def _after(classes: list[FailureClass], number: int) -> TaskSeen:
    """Return a task after so many attempts, which failed in these ways in turn."""
    attempts: list[Attempt] = []
    for n in range(1, number + 1):
        attempts = fold([*attempts, _attempt(n, classes[n % len(classes)])])
    return TaskSeen("ns", "t", "u", 1, "j", "j", 0, attempts=tuple(attempts))


def test_what_is_on_record_does_not_grow_with_attempts_that_cost_nothing() -> None:
    for classes in (
        [FailureClass.UNSCHEDULABLE],
        [FailureClass.STOPPED, FailureClass.UNSCHEDULABLE],
    ):
        task = _after(classes, 5000)
        wire = VolumeTaskStatus(attempts=list(task.attempts)).model_dump_json(by_alias=True)
        assert len(wire) < 50_000
        assert len(task.attempts) == KEPT + len(classes)
        assert task.attempt == 5001
        assert sum(1 + attempt.repeats for attempt in task.attempts) == 5000
        # The back-off goes by their number, and stays at its end.
        assert len(task.failures) >= KEPT + 40
        assert not is_final(task.failures, Budget(1))


def test_attempts_that_cost_something_are_all_kept() -> None:
    free = [FailureClass.UNSCHEDULABLE] * 30
    task = _after([*free, FailureClass.RETRYABLE], 31 * 3)
    assert [f for f in task.failures if f is FailureClass.RETRYABLE] == [FailureClass.RETRYABLE] * 3
    assert is_final(task.failures, Budget(3))
    assert not is_final(task.failures, Budget(4))
    numbers = [attempt.number for attempt in task.attempts]
    assert numbers == sorted(set(numbers))


# --- pods of which little is known


def test_pods_of_a_job_that_is_not_loaded_are_held() -> None:
    memory = Memory(JobSeen("ns", "x", "x", 1, 1, "1", _memory(1).job.spec))
    pods = {
        f"p{n}": PodSeen("ns", f"p{n}", f"u{n}", 1, "x", "t", "o", phase="Running")
        for n in range(400)
    }
    assert Standings.of(memory, pods).held == 400


def test_names_of_old_pods_are_not_kept() -> None:
    """Each pod has a sidecar, and outlives its VolumeTask for a while."""
    stage = Stage(Plan(volumes=12, parallelism=3, sidecar=True, keep_succeeded=0, keep_failed=0))
    most = 0
    for turn in range(80):
        stage.let_pass([3.0] * 2)
        memory = the_operator(stage).memory
        assert memory is not None
        most = max(most, len(memory.books.old_pods._alive) + len(memory.books.old_pods._over))
        _go_on(stage, late=turn % 3 == 0)
        if stage.guard.status().terminal:
            break
    assert stage.guard.status().terminal
    assert most <= 6
    assert memory is not None
    assert not memory.books.old_pods.any


def _go_on(stage: Stage, *, late: bool) -> None:
    """Let workers end; what is deleted takes its time, and so does the garbage collector."""
    world = stage.world
    while late and world.orphans():
        world.collect_garbage()
    for life in world.pods():
        if world.is_deleting(life):
            if late:
                world.remove_pod(life)
        elif not life.begun:
            world.start(life)
        elif life.worker_end is None:
            stage.write(life.index, b'{"worker_id": "w", "success_timestamp": 1.0}')
            world.end_worker(life, 0)


# --- a list that grows


def test_a_list_that_grows_stops_nothing() -> None:
    memory = _memory(4, start_time="2026-11-24T12:00:00Z")
    assert may_launch(memory, NOW)
    memory.lengthen([Volume("W", "new")], ["a/new/"], "longer")
    assert may_launch(memory, NOW)
    assert memory.books.markers.swept == 4
    note_swept(memory, frozenset(), 5, NOW)
    assert memory.books.markers.swept == len(memory.books.volumes) == 5


def test_only_what_is_new_is_swept() -> None:
    """A sweep that ends after the list has grown again counts for what it has seen."""
    memory = _memory(4, start_time="2026-11-24T12:00:00Z")
    for number in range(3):
        before = len(memory.books.volumes)
        memory.lengthen([Volume("W", f"new{number}")], [f"a/new{number}/"], f"longer{number}")
        note_swept(memory, frozenset(), before, NOW)  # one that began earlier
        assert memory.books.markers.swept == before
        assert may_launch(memory, NOW)
