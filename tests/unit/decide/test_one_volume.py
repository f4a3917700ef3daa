"""Workers from elsewhere that ask for one volume, which they have chosen from a list."""

from dataclasses import replace

from bec_operator.api.job import JobSpec
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.hosts.outside import outside_host, seat_uid
from bec_operator.decide.hosts.pool import Host
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import PoolWorker
from bec_operator.decide.sight.seen import Fact, JobSeen, TaskSeen
from bec_operator.decide.slots.filling import Launches
from bec_operator.decide.slots.next_volumes import new_tasks
from bec_operator.decide.slots.outside import give_outside, on_offer
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger
from bec_ops.contract.volume import Volume
from tests.unit.decide.steps import room_of

NOW = 1.0
TOTAL = 8
SPEC = JobSpec.model_validate(
    {
        "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "parallelism": 100,
        "outside": {"allowed": True, "only": True, "max": 3},
    }
)


def _memory(*retried: int) -> Memory:
    """A job whose volumes may all start, but for those that wait for their next attempt."""
    memory = Memory(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC))
    volumes = [Volume("W1", f"I{number}") for number in range(TOTAL)]
    prefixes = [f"artefacts/ocr/W1-I{number}/" for number in range(TOTAL)]
    memory.load(volumes, prefixes, Ledger.fresh("sha", TOTAL), 0.0)
    failed = (Attempt(number=1, pod="p", failure=FailureClass.RETRYABLE.label),)
    for index in range(TOTAL):
        memory.books.frontier[index] = VolumeState.STARTABLE
    for index in retried:
        memory.books.frontier[index] = VolumeState.ACTIVE
        memory.books.tasks[index] = TaskSeen(
            "ns", f"t{index}", f"u{index}", 1, "j", "j", index, attempts=failed
        )
    return memory


def _asking(*volumes: int | None) -> list[Host]:
    """Workers that ask for these, the one that has waited for longest first."""
    hosts = []
    for number, volume in enumerate(volumes):
        uid = seat_uid(f"w{number}", "s")
        pod = outside_host("ns", "j", uid, f"w{number}", 300.0, volume)
        since = NOW - 1 + number / 10
        hosts.append(Host(pod, PoolWorker(uid, "s", 0.0, NOW, since), busy=False))
    return hosts


def _given(memory: Memory, *volumes: int | None) -> Launches:
    standings = Standings.of(memory, {})
    return give_outside(memory, standings, room_of(memory, standings), NOW, _asking(*volumes))


def _made(memory: Memory, given: Launches) -> dict[int, str]:
    """Return by volume for whom its task is made."""
    made = [action for action in new_tasks(memory, given, NOW) if isinstance(action, CreateTask)]
    assert len({action.index for action in made}) == len(made)
    return {action.index: action.pod_uid.partition("/")[0] for action in made}


def _offered(memory: Memory, many: int = 100) -> list[int]:
    standings = Standings.of(memory, {})
    return on_offer(memory, standings, room_of(memory, standings), NOW, many)


def test_who_asks_for_one_gets_that_one() -> None:
    memory = _memory()
    assert _made(memory, _given(memory, 5)) == {5: "w0"}


def test_of_two_who_ask_for_one_the_first_gets_it_and_the_other_nothing() -> None:
    memory = _memory()
    assert _made(memory, _given(memory, 5, 5)) == {5: "w0"}


def test_who_takes_any_does_not_get_what_another_asks_for() -> None:
    memory = _memory()
    assert _made(memory, _given(memory, None, 0)) == {1: "w0", 0: "w1"}


def test_a_retry_is_asked_for_like_any_other() -> None:
    memory = _memory(2)
    given = _given(memory, 2, 2, None)
    assert {uid: host.pod.name for uid, host in given.hosts.items()} == {"u2": "w0"}
    assert _made(memory, given) == {0: "w2"}


def test_what_nobody_may_begin_is_given_to_nobody() -> None:
    memory = _memory()
    memory.books.frontier[1] = VolumeState.SETTLED
    memory.books.block(2, Fact(NOW, "WaitingForOldTask", "taken"))
    memory.under_way.begin(CreateTask(3))
    assert _given(memory, 1, 2, 3, TOTAL, -1) == Launches()


def test_there_are_no_more_than_the_job_gives_away() -> None:
    memory = _memory()
    assert len(_made(memory, _given(memory, 0, 1, 2, 3, None))) == 3


def test_what_is_on_offer_is_what_would_be_given() -> None:
    memory = _memory(6)
    assert _offered(memory) == [6, 0, 1, 2, 3, 4, 5, 7]
    assert _offered(memory, 2) == [6, 0]
    for index in _offered(memory):
        given = _given(memory, index)
        assert [*given.hosts] == ["u6"] if index == 6 else _made(memory, given) == {index: "w0"}


def test_nothing_is_on_offer_where_nothing_would_be_given() -> None:
    memory = _memory()
    assert memory.job.spec is not None
    outside = memory.job.spec.outside.model_copy(update={"allowed": False})
    spec = memory.job.spec.model_copy(update={"outside": outside})
    memory.job = replace(memory.job, spec=spec)
    assert _offered(memory) == []
    assert _given(memory, 0) == Launches()
