"""A queue of volumes: when messages are taken, and what ends a job over one."""

from typing import Any

import pytest

from bec_operator.api.job import JobSpec
from bec_operator.decide.jobs.ended_job import stays_ended
from bec_operator.decide.lists.growth import is_list_done, is_look_due
from bec_operator.decide.lists.messages import delete_messages, take_messages
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact, JobSeen
from bec_operator.decide.volumes.actions import DeleteMessages, TakeMessages
from bec_operator.decide.volumes.inbox import MOST
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume
from tests.support.jobs import job

NOW = 1000.0
ONE = Volume("W1", "I1")


def remembered(count: int = 0, status: dict[str, Any] | None = None, **spec: Any) -> Memory:
    queue = {"connection": "queues", "url": "http://q/1/volumes", **spec.pop("queue", {})}
    made = JobSpec.model_validate(job("ocr", "bucket", {"queue": queue}, **spec)["spec"])
    memory = Memory(JobSeen("texts", "ocr", "uid", 1, 2, created="", spec=made))
    if status is not None:
        told = memory.job.status.model_validate(status)
        memory.job = JobSeen("texts", "ocr", "uid", 1, 2, created="", spec=made, status=told)
    volumes = [Volume("W1", f"I{number}") for number in range(count)]
    memory.load(volumes, [f"a/{v.i_id}/" for v in volumes], Ledger.fresh("sha", count), NOW)
    memory.saving.note("1", NOW)
    return memory


def settle(memory: Memory, *indices: int, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    assert memory.ledger is not None
    for index in indices:
        memory.ledger.settle(index, outcome, 2 if outcome is Outcome.FAILED else 0)
    memory.ledger.unsaved.clear()


def test_messages_are_taken_while_what_is_held_gets_stored() -> None:
    memory = remembered()
    inbox = memory.books.inbox
    assert list(take_messages(memory, NOW)) == [TakeMessages()]
    inbox.note_received({ONE: {"a": "1"}}, {})
    assert list(take_messages(memory, NOW + 5)) == [TakeMessages()]
    assert not list(take_messages(memory, NOW + 60)), "what is held is not stored: S3 is away"
    memory.saving.note("2", NOW + 61)
    assert list(take_messages(memory, NOW + 62)) == [TakeMessages()]

    inbox.note_received({}, {f"m{number}": "1" for number in range(MOST)})
    assert not list(take_messages(memory, NOW + 62))
    assert list(delete_messages(memory, NOW + 62)) == [DeleteMessages()]
    inbox.note_undeleted(Fact(NOW + 62, "QueueForbidden", "no"))
    assert not list(delete_messages(memory, NOW + 63)), "not at once again"


@pytest.mark.parametrize("why", ["suspended", "away", "full"])
def test_no_message_is_taken(why: str) -> None:
    memory = remembered(suspend=why == "suspended")
    if why == "away":
        memory.books.inbox.note_trouble(Fact(NOW, "ConnectionUnavailable", "away"))
    if why == "full":
        memory.books.inbox.note_full(Fact(NOW, "InvalidManifest", "full"))
    assert not list(take_messages(memory, NOW + 1))


def test_a_queue_is_asked_nothing_as_a_list_is() -> None:
    assert not is_look_due(remembered(), NOW + 3600, 60.0)


def test_a_job_ends_with_its_queue_only_if_it_says_so_and_has_had_volumes() -> None:
    endless, empty = remembered(2), remembered(0, queue={"until": "Empty"})
    ends = remembered(2, queue={"until": "Empty"})
    for memory in (endless, empty, ends):
        settle(memory, *range(len(memory.books.volumes)))
        settled = len(memory.books.volumes)
        memory.books.inbox.note_empty(NOW, settled, 60.0, empty=True)
        assert not is_list_done(memory)
        memory.books.inbox.note_empty(NOW + 60, settled, 60.0, empty=True)
    assert [is_list_done(memory) for memory in (endless, empty, ends)] == [False, False, True]
    ends.under_way.begin(TakeMessages())
    assert not is_list_done(ends), "it may bring one"


ENDED = {
    "observedGeneration": 1,
    "counts": {"total": 2, "succeeded": 2},
    "startTime": "2026-11-30T00:00:00Z",
}


def ended(phase: str, **counts: int) -> dict[str, Any]:
    told = {
        "type": phase,
        "status": "True",
        "reason": "Completed",
        "lastTransitionTime": "2026-11-30T00:00:00Z",
    }
    return {**ENDED, "phase": phase, "conditions": [told], "counts": {"total": 2, **counts}}


def test_an_ended_job_over_a_queue_takes_messages_again_if_that_is_asked_for() -> None:
    until = {"until": "Empty"}
    done = ended("Complete", succeeded=2)
    complete = remembered(2, done, queue=until)
    endless = remembered(2, done)
    failed = ended("Failed", succeeded=1, failed=1)
    hopeless = remembered(2, failed, queue=until, maxFailed=0)
    allowed = remembered(2, failed, queue=until, maxFailed=5)
    for memory in (complete, endless):
        settle(memory, 0, 1)
    for memory in (hopeless, allowed):
        settle(memory, 0)
        settle(memory, 1, outcome=Outcome.FAILED)
    assert all(memory.job.status.terminal for memory in (complete, endless, hopeless, allowed))
    stays = [stays_ended(memory) for memory in (complete, endless, hopeless, allowed)]
    assert stays == [True, False, True, False]
