"""Commands for Flamenco Workers, made of a Job's template and a volume."""

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.gateway.faces.flamenco.commands import (
    TemplateError,
    number_of_commands,
    task_document,
)
from bec_ops.contract.task import Task


def task(flamenco: object, w_id: str = "W1", **parameters: Any) -> Task:
    return Task(
        job_id="ocr",
        w_id=w_id,
        i_id="I1",
        i_version="v1",
        attempt=2,
        task_uid="0a-1b",
        handler="render",
        output_uri="s3://bucket/ocr/W1-I1-v1/",
        parameters={"flamenco": flamenco, **parameters},
        worker_id="desk",
    )


def commands(*given: dict[str, Any]) -> dict[str, Any]:
    return {"commands": list(given)}


def filled(name: str, settings: dict[str, Any], **parameters: Any) -> Any:
    document: Any = task_document(
        task(commands({"name": name, "settings": settings}), **parameters), "bec/ocr"
    )
    (command,) = document["commands"]
    return command["settings"]


def test_a_document() -> None:
    echo = {"name": "echo", "settings": {"message": "{job_id}: {w_id}-{i_id}-{i_version}"}}
    given = task({"task_type": "render", **commands(echo)})
    assert task_document(given, "bec/ocr") == {
        "_id": "0a-1b-2",
        "job": "bec/ocr",
        "job_type": "bec",
        "task_type": "render",
        "name": "W1 I1 v1",
        "status": "queued",
        "commands": [{"name": "echo", "settings": {"message": "ocr: W1-I1-v1"}}],
    }
    assert number_of_commands(given) == 1


def test_values_keep_their_kind_where_they_stand_alone() -> None:
    parameters = {"seconds": 2.5, "scan": {"codec": "jpeg"}}
    assert filled("sleep", {"time_in_seconds": "{parameters.seconds}"}, **parameters) == {
        "time_in_seconds": 2.5
    }
    settings = {"filepath": "/a.py", "contents": "d = {'a': {'b': 1}}; f'{{x}} {attempt}'"}
    contents = "d = {'a': {'b': 1}}; f'{x} 2'"
    assert filled("create_python_file", settings)["contents"] == contents
    deep = {"message": ["{parameters.scan}", {"of": "as {parameters.scan.codec}"}]}
    assert filled("echo", deep, **parameters) == {"message": [{"codec": "jpeg"}, {"of": "as jpeg"}]}


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_a_value_is_one_word_of_a_command_line(w_id: str) -> None:
    line = commands({"name": "exec", "settings": {"cmd": "do '{w_id} x' --id={w_id} {attempt}"}})
    document: Any = task_document(task(line, w_id), "bec/ocr")
    cmd = document["commands"][0]["settings"]["cmd"]
    assert shlex.split(cmd) == ["do", f"{w_id} x", f"--id={w_id}", "2"]


@pytest.mark.parametrize(
    ("flamenco", "said"),
    [
        (None, "worker.parameters.flamenco is missing"),
        ([], "worker.parameters.flamenco: "),
        ({"commands": []}, "commands: "),
        ({"comands": []}, "comands: "),
        ({"task_type": "sleep", **commands({"name": "log_a_lot"})}, "task_type is 'sleep'"),
        (commands({"name": "excec"}), "commands.0: there is no command 'excec'"),
        (commands({"name": "exec"}), "commands.0.settings: exec needs cmd"),
        (commands({"name": "exec", "settings": {"cmd": ""}}), "exec needs cmd"),
        (commands({"name": "exec", "settings": {"cmd": 7}}), "a command line is a string"),
        (commands({"name": "exec", "settings": {"cmd": "a 'b"}}), "No closing quotation"),
        (commands({"name": "echo", "settings": {"message": "{wid}"}}), "{wid} is unknown"),
        (
            commands({"name": "echo", "settings": {"message": "{parameters.no.such}"}}),
            "settings.message: {parameters.no.such} is unknown",
        ),
        (
            commands({"name": "exec", "settings": {"cmd": "do {parameters.flamenco}"}}),
            "{parameters.flamenco} is no text",
        ),
    ],
)
def test_what_is_wrong_is_said(flamenco: object, said: str) -> None:
    with pytest.raises(TemplateError) as told:
        task_document(task(flamenco), "bec/ocr")
    assert said in str(told.value)
    assert number_of_commands(task(None)) is None


def test_what_is_filled_in_has_a_bound() -> None:
    settings = {"message": "{parameters.large} " * 2000}
    with pytest.raises(TemplateError, match="more than 1048576 bytes"):
        filled("echo", settings, large="x" * 1000)
