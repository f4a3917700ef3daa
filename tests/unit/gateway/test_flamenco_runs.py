"""What is kept of attempts in Flamenco Workers."""

from bec_operator.act.ground.enrolled import Outsider, Scope
from bec_operator.gateway.faces.flamenco.documents import Update
from bec_operator.gateway.faces.flamenco.runs import OVERTAKEN, Run, Runs
from bec_operator.gateway.holding import Holding, Seat
from bec_ops.contract.protocol import LOG_BYTES, MESSAGE_CHARACTERS, Progress
from bec_ops.contract.task import Task


def holding(number: int = 1) -> Holding:
    seat = Seat(Outsider("desk-1", "desk", "some", Scope()), "flamenco-1", "session")
    flamenco = {"commands": [{"name": "log_a_lot"}, {"name": "log_a_lot"}]}
    task = Task(
        job_id="ocr",
        w_id="W1",
        i_id="I1",
        task_uid=f"uid{number}",
        output_uri="s3://bucket/a/",
        parameters={"flamenco": flamenco},
        worker_id="desk",
    )
    return Holding(seat, ("bec", "ocr"), task, 300.0)


def run() -> Run:
    return Runs().of(holding())


def test_a_log_is_appended_once_and_keeps_its_end() -> None:
    found = run()
    for text in ("T1: a", "T1: a", "T2: b", "", "T2: b"):
        found.take(Update(log=text))
    assert (found.log, found.activity) == ("T1: a\nT2: b", 2)
    found.put_before("T0: before")
    assert found.log == "T0: before\nT1: a\nT2: b"
    found.take(Update(log="ཀ" * LOG_BYTES + "end"))
    assert len(found.log.encode()) <= LOG_BYTES
    assert found.log.endswith("ཀend")


def test_progress_is_in_commands_or_percent() -> None:
    found = run()
    found.take(Update(task_status="active", current_command_idx=1))
    assert found.progress == Progress(done=1, total=2, unit="commands")
    found.take(Update(task_status="active", current_command_idx=1, command_progress_percentage=100))
    assert (str(found.progress), found.activity) == ("2/2 commands", 2)
    found.take(Update(log="T1: a"))
    assert str(found.progress) == "2/2 commands"
    found.take(Update(task_progress_percentage=40.5))
    assert str(found.progress) == "40/100 percent"


def test_a_failure_is_told_by_the_end_of_the_log() -> None:
    found = run()
    assert "not why" in found.message(Update(task_status="failed"))
    found.take(Update(log="\n".join(f"T{n}: {'x' * 300}" for n in range(9))))
    message = found.message(Update(activity="exec failed"))
    assert len(message) == MESSAGE_CHARACTERS
    assert message.endswith(f"T8: {'x' * 300}")


def test_a_task_is_given_again_at_once_unless_its_end_may_be_on_its_way() -> None:
    runs = Runs()
    found = runs.of(holding())
    assert not found.may_be_over(0.0)  # it never had it, as far as one knows
    found.take(Update(task_status="active"))
    assert found.may_be_over(10.0)
    assert found.may_be_over(10.0 + OVERTAKEN - 1)
    assert not found.may_be_over(10.0 + OVERTAKEN)
    assert not found.may_be_over(11.0 + OVERTAKEN)
    assert runs.of(holding(2), adopted=True).may_be_over(0.0)


def test_the_log_of_an_attempt_that_has_ended_is_kept_until_it_is_stored() -> None:
    found = Runs().of(holding(), given=True)
    found.take_log("T1: a")
    found.end()
    assert (found.log, found.earlier) == ("T1: a", False)
    found.unsaved = False
    found.let_go()
    assert (found.log, found.earlier) == ("", True)
    found.take_log("T2: late")
    found.put_before("T1: a")
    assert found.log == "T1: a\nT2: late"


def test_what_was_not_given_just_now_may_have_a_log() -> None:
    runs = Runs()
    assert not runs.of(holding(1), given=True).earlier
    assert not runs.of(holding(1)).earlier
    assert runs.of(holding(2)).earlier


def test_what_is_known_is_known_to_its_worker_alone_and_bounded() -> None:
    runs = Runs()
    for number in range(1001):
        runs.of(holding(number))
    assert runs.get("uid1000-1", "desk-1") is runs.of(holding(1000))
    assert runs.get("uid1000-1", "desk-2") is None
    assert runs.get("uid0-1", "desk-1") is None
    assert len(runs.all()) == 1000


def test_text_that_is_no_utf_8_does_not_stop_an_update() -> None:
    assert Update.model_validate({"log": "a\ud800b", "activity": "\udc80"}).log == "a?b"
