"""What a handler returns goes into the marker, or fails the attempt with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, RootModel

from bec_ops.contract.errors import MisconfiguredError, TerminalError
from bec_ops.contract.marker import MAX_MARKER_BYTES, Marker
from bec_ops.contract.returned import MAX_RESULT_BYTES
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop
from bec_ops.running_task import RunningTask
from bec_ops.runtime.attempt import Attempt
from bec_ops.worker import Handlers
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended


class Found(BaseModel):
    pages: int
    mean: float | None = None
    text: str = ""


SCHEMA = Found.model_json_schema()
Do = Callable[..., Marker]
HANDLER = """
from pydantic import BaseModel
from bec_ops import worker

class Found(BaseModel):
    pages: object = 0

@worker.job("ocr")
def ocr(task):
    task.write("1.txt", "x")
    return RETURNED

worker.main()
"""


@pytest.fixture
def do(tmp_path: Path) -> Do:
    """Do a volume with a handler that returns something; return its marker."""

    def done(returned: object, *, schema: dict[str, Any] | None = None, **details: Any) -> Marker:
        task = Task(
            job_id="j",
            w_id="W1",
            i_id="I1",
            output_uri=f"file://{tmp_path}/",
            worker_id="w",
            result_schema=schema,
        )
        attempt = Attempt(task, Surroundings(), Stop(), meter=Meter())
        handlers = Handlers()

        @handlers.job("ocr")
        def ocr(task: RunningTask) -> object:
            task.details(**details)
            return returned

        handlers.prepare(task)(attempt)
        attempt.succeed()
        marker = attempt.output.marker()
        assert marker
        return marker

    return done


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_a_model(do: Do, schema: dict[str, Any] | None) -> None:
    marker = do(Found(pages=3, text="བོད"), schema=schema)
    assert marker.result == {"pages": 3, "mean": None, "text": "བོད"}


def test_nothing(do: Do, tmp_path: Path) -> None:
    assert do(None).result is None
    assert "result" not in json.loads((tmp_path / "success.json").read_text())


@pytest.mark.parametrize(
    "returned", [{"pages": 3}, "done", True, 0, (Found(pages=1), 2), [Found(pages=1)], Found]
)
def test_what_is_neither_says_what_to_return(do: Do, tmp_path: Path, returned: object) -> None:
    with pytest.raises(MisconfiguredError, match=r"'ocr' has returned \w+: return a pydantic mod"):
        do(returned)
    assert not (tmp_path / "success.json").exists()


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (Found(pages=1, mean=float("nan")), r"cannot be told: mean \(nan\) is no number"),
        (Found(pages=1, mean=float("inf")), r"cannot be told: mean \(inf\) is no number"),
        (Found(pages=1, text="x" * MAX_RESULT_BYTES), f"and {MAX_RESULT_BYTES} is the limit"),
        (RootModel[list[int]]([1]), "it is a list, and no JSON object"),
    ],
)
def test_what_cannot_stand_in_a_marker(
    do: Do, tmp_path: Path, returned: BaseModel, said: str
) -> None:
    with pytest.raises(TerminalError, match=said):
        do(returned)
    assert not (tmp_path / "success.json").exists()


def test_what_the_job_does_not_want(do: Do) -> None:
    class Other(BaseModel):
        pages: str = "many"

    with pytest.raises(TerminalError, match=r"does not fit spec.worker.result: pages: Input shou"):
        do(Other(), schema=SCHEMA)
    with pytest.raises(MisconfiguredError, match="demands a result, and there is none: return"):
        do(None, schema=SCHEMA)


def test_a_marker_that_does_not_fit_is_none_to_the_worker(do: Do, tmp_path: Path) -> None:
    do(Found(pages=3))
    place = {"job_id": "j", "w_id": "W1", "i_id": "I1", "output_uri": f"file://{tmp_path}/"}
    other = Found.model_json_schema() | {"required": ["pages", "lines"]}
    for schema, done in ((SCHEMA, True), (other, False), (None, True)):
        task = Task.model_validate({**place, "worker_id": "w", "result_schema": schema})
        attempt = Attempt(task, Surroundings(), Stop(), meter=Meter())
        assert attempt.end_if_done() is done


def test_details_leave_the_result_alone(do: Do) -> None:
    with pytest.raises(ValueError, match="result is not for you"):
        do(None, result={"pages": 1})


def test_a_marker_that_would_be_too_large_is_not_written(do: Do, tmp_path: Path) -> None:
    deep = json.loads("[" * 90 + ",".join(["1"] * 8000) + "]" * 90)
    assert do(Found(pages=1), deep=deep).result  # 8,000 lines of 90 blanks, if it was indented
    (tmp_path / "success.json").unlink()
    with pytest.raises(TerminalError, match=f"more than {MAX_MARKER_BYTES} is none: give less"):
        do(None, much="x" * MAX_MARKER_BYTES)
    assert not (tmp_path / "success.json").exists()


def test_a_schema_of_a_later_operator_is_left_to_it(do: Do) -> None:
    later = {"type": "object", "properties": {"pages": {"type": "integer", "prime": True}}}
    assert do(Found(pages=4), schema=later).result
    assert do(None, schema=later).result is None


@pytest.mark.parametrize(
    ("returned", "code", "kind", "said"),
    [
        ("{'pages': 1}", 78, "Misconfigured", "handler 'ocr' has returned dict: return a pydantic"),
        ("Found(pages='1')", 65, "Terminal", "spec.worker.result: pages: Input should be a valid"),
        ("Found(pages=float('nan'))", 65, "Terminal", "pages (nan) is no number: return None"),
        ("None", 78, "Misconfigured", "spec.worker.result demands a result, and there is none"),
    ],
)
def test_how_a_worker_ends(tmp_path: Path, returned: str, code: int, kind: str, said: str) -> None:
    run = WorkerRun(tmp_path, {"BEC_RESULT_SCHEMA": json.dumps(SCHEMA)})
    ended = wait_ended(run.start_script(HANDLER.replace("RETURNED", returned)))
    assert ended.code == code, ended
    assert run.told["class"] == kind
    assert said in run.told["message"]
    assert run.marker is None
    assert "Traceback" not in ended.err


def test_a_worker_that_ends_well(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_RESULT_SCHEMA": json.dumps(SCHEMA)})
    wait_done(run.start_script(HANDLER.replace("RETURNED", "Found(pages=3)")))
    assert run.marker
    assert run.marker["result"] == {"pages": 3}
    again = wait_done(run.start_script(HANDLER.replace("RETURNED", "1/0")))
    assert "is done already" in again.err


def test_a_program_cannot_return_anything(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_RESULT_SCHEMA": json.dumps(SCHEMA)})
    ended = wait_ended(run.start_command("exec", "--", "sh", "-c", "echo x > $BEC_OUTPUT_DIR/1"))
    assert ended.code == 78
    assert "spec.worker.result demands a result" in run.told["message"]
