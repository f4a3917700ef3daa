"""What is to be delivered, to whom, and what a Job says of it."""

from dataclasses import replace

import pytest

from bec_operator.api.job import Condition, Counts, JobPhase, JobStatus
from bec_operator.api.results import QueueResults, Results, SqlResults
from bec_operator.decide.jobs.actions import DeliverResults, WriteStatus
from bec_operator.decide.jobs.delivered import told_of_results
from bec_operator.decide.jobs.delivering import deliver, deliver_rest, owes
from bec_operator.decide.jobs.marker_reads import reads
from bec_operator.decide.jobs.saving import SAVE_NOT_BEFORE, keep
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.marker_findings import note_reading
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.outbox import NAMES, RETURNED_AT_MOST, Outbox, Receiver
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.made import Made
from bec_operator.decide.sight.seen import Fact, Facts, MarkerSeen, MarkerState
from bec_operator.decide.volumes.actions import ReadMarker, SaveLedger
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.part import Part
from bec_ops.contract.returned import MAX_RESULT_BYTES, as_text
from bec_ops.contract.volume import Volume
from tests.unit.worker_api.scene import JOB

NOW = 1_800_000_000.0
SQL = SqlResults.model_validate({"connection": "catalogue"})
QUEUE = QueueResults(connection="queues", url="https://sqs.example.org/1/results")
BOTH = Results(sql=SQL, queue=QUEUE)


def _outbox(wanted: Results | None = BOTH, *keys: str) -> Outbox:
    outbox = Outbox(wanted)
    outbox.note_listed(keys, NOW)
    return outbox


def _memory(phase: JobPhase = JobPhase.RUNNING, wanted: Results | None = BOTH) -> Memory:
    moment = "2026-11-25T10:00:00Z"
    ended = Condition(type=phase, status="True", reason="Is", last_transition_time=moment)
    owed = Condition(
        type="ResultsDelivered",
        status="False",
        reason="Delivering",
        message="the last results are on their way",
        last_transition_time=moment,
        observed_generation=JOB.generation,
    )
    status = JobStatus(
        phase=phase,
        counts=Counts(total=1, succeeded=1),
        start_time=moment,
        conditions=[ended, owed] if phase is not JobPhase.RUNNING else [],
    )
    memory = Memory(replace(JOB, status=status))
    memory.outbox = _outbox(wanted)
    if phase is JobPhase.RUNNING:
        memory.books.ledger = Ledger.fresh("sha", 1)
    return memory


def _delivered(memory: Memory, now: float = NOW) -> list[Receiver]:
    actions = deliver(Scene(memory, {}, now))
    return [action.to for action in actions if isinstance(action, DeliverResults)]


def test_each_receiver_has_a_pace_of_its_own() -> None:
    outbox = _outbox(BOTH, "a", "b", "c")
    outbox.delivery("sql").note_taken(["a", "b"], NOW)
    assert outbox.waiting_for("sql") == ["c"]
    assert outbox.waiting_for("queue") == ["a", "b", "c"]
    assert outbox.spent == []
    outbox.delivery("queue").note_taken(["a"], NOW)
    assert outbox.spent == ["a"]
    outbox.note_gone(["a"])
    assert outbox.waiting_for("sql") == ["c"]
    assert outbox.waiting_for("queue") == ["b", "c"]


def test_no_part_is_spent_that_nobody_is_to_get() -> None:
    """Somebody may have taken the chart's default away for a while."""
    assert _outbox(None, "a").spent == []


def test_where_much_was_returned_it_is_written_before_more_is_read() -> None:
    volumes = [Volume("W1", f"I{n}") for n in range(20)]
    memory = _memory()
    memory.load(volumes, [f"{v}/" for v in volumes], Ledger.fresh("sha", len(volumes)), NOW)
    memory.books.markers.swept = len(volumes)
    memory.facts = Facts(*[Fact(NOW)] * 5)
    memory.saving.at = NOW
    chunk = Made(result=as_text({"a": "x" * (MAX_RESULT_BYTES - 8)}))
    large = MarkerSeen(MarkerState.VALID, NOW, made=chunk)

    def asked() -> set[type[Action]]:
        seen = Scene(memory, {}, NOW + SAVE_NOT_BEFORE)
        actions = (*reads(memory, NOW), *keep(seen, may_read=True))
        return {type(action) for action in actions} & {ReadMarker, SaveLedger}

    note_reading(memory, 0, large)
    assert asked() == {ReadMarker}
    for _ in range(2):  # what is looked at twice counts once
        memory.outbox.note_reading(0, large)
    assert not memory.outbox.is_full
    for index in range(RETURNED_AT_MOST // MAX_RESULT_BYTES + 1):
        memory.outbox.note_reading(index, large)
    assert asked() == {SaveLedger}
    memory.outbox.note_read(range(1000))
    assert asked() == {ReadMarker}
    assert memory.outbox.returned == 0


def test_so_many_parts_are_known_by_name_and_the_rest_is_listed_again() -> None:
    keys = [f"{number:05}" for number in range(NAMES + 5)]
    outbox = _outbox(Results(sql=SQL), *keys)
    assert len(outbox.waiting_for("sql")) == NAMES
    outbox.note_written(Part(9, "w"), ["later"], NOW)
    assert "later" not in outbox.waiting_for("sql")
    outbox.delivery("sql").note_taken(keys[:NAMES], NOW)
    outbox.note_gone(outbox.spent)
    assert not outbox.listed


def test_what_is_written_while_parts_are_listed_is_not_forgotten() -> None:
    outbox = Outbox(Results(sql=SQL))
    outbox.note_written(Part(2, "w"), ["b"], NOW)  # while the list was on its way
    outbox.note_listed(["a"], NOW)
    assert outbox.waiting_for("sql") == ["a", "b"]


def test_nothing_is_added_to_a_part_that_was_listed_before_its_answer_came() -> None:
    """It may have been given to somebody already."""
    outbox = _outbox(Results(sql=SQL), "a")
    outbox.note_written(Part(1, "w"), ["a"], NOW)
    assert not outbox.part.writer
    outbox.note_written(Part(2, "w"), ["b"], NOW)
    assert outbox.open_key == "b"


def test_a_part_of_another_process_is_given_though_a_later_one_was() -> None:
    outbox = _outbox(Results(sql=SQL))
    outbox.note_written(Part(6, "bb"), ["6-bb"], NOW)
    outbox.delivery("sql").note_taken(["6-bb"], NOW)
    outbox.look_again()
    outbox.note_listed(["6-aa", "6-bb"], NOW)
    assert outbox.waiting_for("sql") == ["6-aa"]


def test_parts_that_cannot_be_deleted_are_given_once() -> None:
    outbox = _outbox(Results(sql=SQL), "a", "b")
    outbox.delivery("sql").note_taken(["a", "b"], NOW)
    outbox.note_undeletable(Fact(NOW, "StorageForbidden", "no"))
    assert outbox.stays
    assert not outbox.may_delete(NOW + 60)
    assert outbox.may_delete(NOW + 601)
    outbox.look_again("its end")
    outbox.note_listed(["a", "b", "c"], NOW)
    assert outbox.waiting_for("sql") == ["c"]
    outbox.note_undeletable(Fact(NOW, "StorageUnavailable", "busy"))
    assert not outbox.stays
    assert outbox.may_delete(NOW + 31)


def test_what_another_process_may_have_added_to_is_given_again() -> None:
    outbox = _outbox(Results(sql=SQL), "theirs")
    outbox.note_written(Part(2, "w"), ["ours"], NOW)
    outbox.delivery("sql").note_taken(["theirs", "ours"], NOW)
    outbox.look_again()  # somebody else has written the ledger
    assert outbox.waiting_for("sql") == ["theirs"]


def test_since_when_somebody_waits_outlives_a_look() -> None:
    outbox = _outbox(BOTH, "a", "b")
    outbox.note_age("b", NOW - 500)
    outbox.look_again()
    outbox.note_listed(["a", "b"], NOW + 60)
    assert outbox.since == NOW - 500
    for to in ("sql", "queue"):
        outbox.deliveries[to].note_taken(["b"], NOW)
    assert outbox.since == NOW


def test_what_is_left_out_is_counted_once() -> None:
    delivery = Outbox(BOTH).delivery("sql")
    assert delivery.note_left_out(["x is too long", "y is too long", "x is too long"]) == 2
    assert delivery.note_left_out(["x is too long"]) == 0
    assert list(delivery.left_out) == ["x is too long", "y is too long"]


def test_a_receiver_that_takes_nothing_is_tried_ever_more_rarely() -> None:
    memory = _memory()
    memory.outbox.note_written(Part(1, "w"), ["a"], NOW)
    assert "queue" in _delivered(memory)
    delivery = memory.outbox.delivery("queue")
    delivery.note_trouble(Fact(NOW, "ConnectionUnavailable", "away"))
    assert "queue" not in _delivered(memory, NOW + 4)
    assert "queue" in _delivered(memory, NOW + 6)
    for _ in range(20):
        delivery.note_trouble(Fact(NOW, "ConnectionUnavailable", "away"))
    assert "queue" in _delivered(memory, NOW + 61)
    delivery.note_taken(["a"], NOW)
    assert delivery.trouble is None


def test_while_one_takes_nothing_the_other_gets_its_results_together() -> None:
    """Each delivery closes a part, and for the one that takes nothing they pile up."""
    memory = _memory()
    memory.outbox.delivery("sql").note_stand(None, NOW)
    memory.outbox.delivery("queue").note_trouble(Fact(NOW, "ConnectionUnavailable", "away"))
    memory.outbox.delivery("sql").note_taken([], NOW)
    memory.outbox.note_written(Part(1, "w"), ["a"], NOW)
    assert _delivered(memory, NOW + 3) == []
    assert "sql" in _delivered(memory, NOW + 31)
    memory.outbox.delivery("queue").note_taken([], NOW)
    assert "sql" in _delivered(memory, NOW + 3)


def test_a_database_is_shown_what_runs_now_and_then_and_a_queue_is_not() -> None:
    memory = _memory()
    assert _delivered(memory) == ["sql"]
    (action,) = deliver(Scene(memory, {}, NOW))
    assert isinstance(action, DeliverResults)
    memory.outbox.delivery("sql").note_stand(action.stand, NOW)
    assert _delivered(memory, NOW + 100) == []  # nothing runs, and nothing has changed
    memory.job = replace(memory.job, status=memory.job.status.model_copy(update={"rate": "9"}))
    assert _delivered(memory, NOW + 10) == []
    assert _delivered(memory, NOW + 31) == ["sql"]


def test_without_results_nothing_is_delivered_or_said() -> None:
    memory = _memory(wanted=None)
    assert _delivered(memory) == []
    assert told_of_results(memory, NOW, over=True) == {}
    assert not owes(memory)


@pytest.mark.parametrize("to", ["sql", "queue"])
def test_trouble_is_said_with_who_waits_and_since_when(to: Receiver) -> None:
    memory = _memory()
    memory.outbox.note_written(Part(1, "w"), ["a"], NOW)
    memory.outbox.delivery(to).note_trouble(Fact(NOW, "ConnectionUnavailable", "it is away"))
    told = told_of_results(memory, NOW, over=False)["ResultsDelivered"]
    since = "2027-01-15T08:00:00Z"
    assert told == (
        False,
        "ConnectionUnavailable",
        f"results wait since {since} for {to}: it is away",
    )


def test_results_that_wait_are_worth_a_word_after_a_while() -> None:
    memory = _memory()
    memory.outbox.note_written(Part(1, "w"), ["a"], NOW)
    assert told_of_results(memory, NOW + 50, over=False)["ResultsDelivered"][0]
    late = told_of_results(memory, NOW + 70, over=False)["ResultsDelivered"]
    assert late[:2] == (False, "Late")


def test_a_job_that_has_ended_owes_results_until_all_have_all() -> None:
    memory = _memory(JobPhase.COMPLETE)
    assert owes(memory)
    found = list(deliver_rest(Scene(memory, {}, NOW)))
    assert [type(action) for action in found] == [DeliverResults, DeliverResults]
    for action in found:
        assert isinstance(action, DeliverResults)
        memory.outbox.delivery(action.to).note_stand(action.stand, NOW)

    (last,) = deliver_rest(Scene(memory, {}, NOW))
    assert isinstance(last, WriteStatus)
    assert _said(last.status).status == "True"
    memory.job = replace(memory.job, status=last.status)
    assert not owes(memory)
    assert list(deliver_rest(Scene(memory, {}, NOW))) == []


def _said(status: JobStatus) -> Condition:
    (found,) = [each for each in status.conditions if each.type == "ResultsDelivered"]
    return found
