"""Tasks: what the operator sets in the environment, and what is said when it is wrong."""

from datetime import UTC, datetime

import pytest

from bec_ops.contract.marker import Marker
from bec_ops.contract.task import Task, TaskError
from bec_ops.contract.volume import Volume

ENVIRONMENT = {
    "BEC_JOB_ID": "ocr",
    "BEC_W_ID": "W1",
    "BEC_I_ID": "I1",
    "BEC_I_VERSION": "v1",
    "BEC_ATTEMPT": "2",
    "BEC_OUTPUT_URI": "s3://bucket/artefacts/ocr/W1-I1-v1/",
    "BEC_PARAMETERS": '{"languages": "bod", "deep": {"n": 1}}',
    "BEC_WORKER_ID": "pod-1",
    "BEC_SOMETHING_NEW": "is no fault",
    "PATH": "/bin",
}


def test_a_task_is_read_from_the_environment() -> None:
    task = Task.from_environment(ENVIRONMENT)
    assert task.volume == Volume("W1", "I1", "v1")
    assert (task.job_id, task.attempt, task.worker_id) == ("ocr", 2, "pod-1")
    assert (task.bucket, task.prefix) == ("bucket", "artefacts/ocr/W1-I1-v1/")
    assert task.parameters == {"languages": "bod", "deep": {"n": 1}}


def test_what_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "the-host")
    needed = ("BEC_JOB_ID", "BEC_W_ID", "BEC_I_ID", "BEC_OUTPUT_URI")
    task = Task.from_environment({name: ENVIRONMENT[name] for name in needed})
    assert task.volume == Volume("W1", "I1")
    assert (task.attempt, task.parameters, task.worker_id) == (1, {}, "the-host")
    assert Task.from_environment(ENVIRONMENT | {"BEC_PARAMETERS": ""}).parameters == {}
    assert Task.from_environment(ENVIRONMENT | {"BEC_EXPECT": ""}).expect == ()


def test_what_is_expected_of_it() -> None:
    task = Task.from_environment(ENVIRONMENT | {"BEC_EXPECT": '["*.txt", "ཀ/*"]'})
    assert task.expect == ("*.txt", "ཀ/*")
    assert Task.from_environment(task.environment()) == task


def test_what_its_result_must_be_like() -> None:
    said = '{"type": "object", "required": ["pages"]}'
    task = Task.from_environment(ENVIRONMENT | {"BEC_RESULT_SCHEMA": said})
    assert task.result_schema == {"type": "object", "required": ["pages"]}
    assert Task.from_environment(task.environment()) == task
    for nothing in ("", "null", '{"type": "object", "later": 1}'):  # the last is a later operator's
        found = Task.from_environment(ENVIRONMENT | {"BEC_RESULT_SCHEMA": nothing})
        assert found.result_schema is None
        assert "BEC_RESULT_SCHEMA" not in found.environment()


@pytest.mark.parametrize("name", ["BEC_JOB_ID", "BEC_W_ID", "BEC_I_ID", "BEC_OUTPUT_URI"])
def test_a_missing_variable_is_named(name: str) -> None:
    without = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(TaskError, match=f"{name} is not set"):
        Task.from_environment(without)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BEC_W_ID", ""),
        ("BEC_ATTEMPT", "0"),
        ("BEC_ATTEMPT", "first"),
        ("BEC_OUTPUT_URI", "bucket/prefix/"),
        ("BEC_OUTPUT_URI", "s3://bucket/prefix"),
        ("BEC_PARAMETERS", "[1]"),
        ("BEC_PARAMETERS", "{"),
        ("BEC_EXPECT", "*.txt"),
        ("BEC_EXPECT", '["/a"]'),
        ("BEC_EXPECT", '{"a": 1}'),
        ("BEC_REDO_AT", "yesterday"),
        ("BEC_REDO_AT", "2026-11-24T12:00:00"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(TaskError, match=f"{name}="):
        Task.from_environment(ENVIRONMENT | {name: value})


def test_a_task_makes_its_own_marker() -> None:
    task = Task.from_environment(ENVIRONMENT)
    marker = Marker.parse(task.marker(pages=3).dump(), "ocr", task.volume)
    assert marker.worker_id == "pod-1"
    assert marker.model_extra == {"pages": 3}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T12:00:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24T12:00:00.5+01:00", datetime(2026, 11, 24, 11, 0, 0, 500000, UTC)),
        ("", None),
    ],
)
def test_its_marker_echoes_since_when_it_is_to_be_redone(
    text: str, moment: datetime | None
) -> None:
    task = Task.from_environment(ENVIRONMENT | {"BEC_REDO_AT": text})
    assert task.redo_at == moment
    assert Marker.parse(task.marker().dump(), "ocr", task.volume).redo_at == moment
    assert (b"redo_at" in task.marker().dump()) == bool(moment)
    assert Task.from_environment(task.environment()) == task
