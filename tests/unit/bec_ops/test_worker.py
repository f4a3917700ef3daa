"""Handlers: which is chosen, what it is called with, and what it can do with its task."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from bec_ops.contract.errors import Interrupted, MisconfiguredError
from bec_ops.contract.task import Task
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop
from bec_ops.running_task import RunningTask
from bec_ops.runtime.attempt import LISTED_ERRORS, Attempt
from bec_ops.worker import Handlers


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    languages: str
    dpi: int = 300


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return new_attempt(tmp_path)


def new_attempt(folder: Path, **fields: Any) -> Attempt:
    task = Task(
        job_id="j", w_id="W1", i_id="I1", output_uri=f"file://{folder}/", worker_id="w", **fields
    )
    return Attempt(task, Surroundings(work_dir=folder / "work"), Stop(), meter=Meter())


def details_of(attempt: Attempt) -> dict[str, Any]:
    attempt.succeed()
    marker = attempt.output.marker()
    assert marker
    return marker.model_dump(exclude_unset=True)


def test_a_handler_gets_its_task_and_valid_parameters(tmp_path: Path) -> None:
    seen: list[Any] = []
    handlers = Handlers()

    @handlers.job("ocr", parameters=Parameters)
    def ocr(task: RunningTask, parameters: Parameters) -> None:
        seen.extend([task.volume, task.attempt, parameters])

    attempt = new_attempt(tmp_path, parameters={"languages": "bod"}, attempt=2)
    handlers.prepare(attempt.task)(attempt)
    assert seen == [Volume("W1", "I1"), 2, Parameters(languages="bod")]
    assert ocr.__name__ == "ocr"  # it is still a function that a test can call


def test_without_a_model_it_gets_the_task_alone(attempt: Attempt) -> None:
    seen: list[str] = []
    handlers = Handlers()
    handlers.job("x")(lambda task: seen.append(task.job_id))
    handlers.prepare(attempt.task)(attempt)
    assert seen == ["j"]


@pytest.mark.parametrize("name", ["oc", "ocr2", "OCR", ""])
def test_a_handler_is_chosen_by_its_very_name(name: str) -> None:
    handlers = Handlers()
    for known in ("ocr", "lines"):
        handlers.job(known)(lambda task: task)
    with pytest.raises(MisconfiguredError, match=r"no handler.*; this image has lines, ocr"):
        handlers.choose(name)
    assert handlers.choose("ocr").name == "ocr"


def test_an_image_without_handlers_says_how_to_make_one() -> None:
    with pytest.raises(MisconfiguredError, match=r"@worker\.job"):
        Handlers().choose("")


def test_every_wrong_parameter_is_named(tmp_path: Path) -> None:
    handlers = Handlers()
    handlers.job("ocr", parameters=Parameters)(lambda task, parameters: (task, parameters))
    task = new_attempt(tmp_path, parameters={"dpi": "much", "deskew": True}).task
    with pytest.raises(MisconfiguredError) as caught:
        handlers.prepare(task)
    said = str(caught.value)
    assert said.startswith("parameters of handler 'ocr': languages is missing; dpi='much': ")
    assert "deskew=True: Extra inputs are not permitted" in said


def test_mistakes_of_the_author_show_at_import() -> None:
    handlers = Handlers()
    handlers.job("ocr")(lambda task: task)
    with pytest.raises(ValueError, match="a handler 'ocr' already"):
        handlers.job("ocr")
    with pytest.raises(TypeError, match=r"'a' is called with \(task, parameters\)"):
        handlers.job("a", parameters=Parameters)(lambda task: task)
    with pytest.raises(TypeError, match=r"'b' is called with \(task\)"):
        handlers.job("b")(lambda: None)


def test_tracking_counts_what_is_done(attempt: Attempt) -> None:
    task = RunningTask(attempt)
    seen = [str(attempt.meter.progress) for _ in task.track(["a", "b"], unit="lines")]
    assert seen == ["0/2 lines", "1/2 lines"]
    assert str(attempt.meter.progress) == "2/2 lines"
    assert [str(attempt.meter.progress) for _ in task.track(iter("a"))] == ["0 pages"]
    assert [str(attempt.meter.progress) for _ in task.track(iter("a"), 9)] == ["0/9 pages"]


def test_tracking_stops_between_two_items(attempt: Attempt) -> None:
    items = RunningTask(attempt).track("abc")
    assert [next(items), next(items)] == ["a", "b"]
    attempt.stop.request("got SIGTERM")
    with pytest.raises(Interrupted, match="got SIGTERM"):
        next(items)
    assert str(attempt.meter.progress) == "2/3 pages"


def test_who_stops_after_the_last_item_has_done_all(attempt: Attempt) -> None:
    handlers = Handlers()

    @handlers.job("x")
    def handler(task: RunningTask) -> None:
        for _ in task.track("ab"):
            pass
        attempt.stop.request("got SIGTERM")

    handlers.prepare(attempt.task)(attempt)
    assert details_of(attempt)["unit"] == "pages"


def test_who_returns_because_of_a_stop_has_not_done_its_task(attempt: Attempt) -> None:
    handlers = Handlers()

    @handlers.job("x")
    def handler(task: RunningTask) -> None:
        assert not task.should_stop
        attempt.stop.request("got SIGTERM")
        if task.should_stop:
            return

    with pytest.raises(Interrupted):
        handlers.prepare(attempt.task)(attempt)


def test_errors_of_items_and_details_stand_in_the_marker(attempt: Attempt) -> None:
    task = RunningTask(attempt)
    for number in range(LISTED_ERRORS + 50):
        task.note_error(number or "\ud800", ValueError("blank"))
    task.details(model="bod-2", scores={"mean": 0.9})
    found = details_of(attempt)
    assert found["nb_errors"] == 150
    assert len(found["errors"]) == 100
    assert found["errors"][0] == {"item": "?", "message": "blank"}
    assert (found["model"], found["scores"]) == ("bod-2", {"mean": 0.9})
    assert found["attempt"] == 1


@pytest.mark.parametrize("name", ["attempt", "errors", "worker_id", "volume"])
def test_details_leave_the_librarys_own_keys_alone(attempt: Attempt, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not for you"):
        RunningTask(attempt).details(**{name: "x"})


def test_details_that_are_no_json_are_refused_at_once(attempt: Attempt) -> None:
    with pytest.raises(ValueError, match="serialize"):
        RunningTask(attempt).details(model=object())


def test_a_task_writes_and_has_a_folder_for_what_it_does_not_keep(
    attempt: Attempt, tmp_path: Path
) -> None:
    task = RunningTask(attempt)
    draft = task.work_dir / "page.txt"
    assert task.work_dir.is_relative_to(tmp_path / "work")
    draft.write_text("text")
    task.upload(draft)
    task.upload(draft, "other/name.txt")
    task.write("third.txt", "x")
    assert (tmp_path / "page.txt").read_text() == "text"
    assert (tmp_path / "other/name.txt").read_text() == "text"
    assert (tmp_path / "third.txt").read_text() == "x"
    attempt.close()
    assert not draft.exists()
