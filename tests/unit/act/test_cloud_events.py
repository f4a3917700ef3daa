"""What became of a volume, as a CloudEvent: what its handler has returned is JSON in JSON."""

import json
from typing import Any

import pytest

from bec_operator.act.telling.cloud_events import volume_event
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import Result
from bec_ops.contract.returned import MAX_RESULT_BYTES
from tests.support.own_tables import JOB, result


def event(**made: Any) -> Any:
    told = result(131, made=Made(**made)).model_dump_json(by_alias=True, exclude_defaults=True)
    return volume_event(JOB, Result.model_validate_json(told))  # as the outbox has it


def test_what_was_returned_is_there_as_an_object() -> None:
    data = event(items=480, result='{"pages":480,"ཀ":[null,"\\u0000"]}')["data"]
    assert data["result"] == {"pages": 480, "ཀ": [None, "\0"]}
    assert data["made"] == {"items": 480}


def test_where_nothing_was_returned_nothing_is_said() -> None:
    assert "result" not in event(items=480)["data"]
    assert "made" not in volume_event(JOB, result(131))["data"]


@pytest.mark.parametrize(
    "foreign",
    ["", "{", "[1]", "NaN", '{"a":NaN}', '{"a":' * 5000, '{"a":"\\ud800"}', "x" * MAX_RESULT_BYTES,
     json.dumps({"a": "x" * MAX_RESULT_BYTES})],
)  # fmt: skip
def test_what_somebody_else_has_put_into_the_outbox_is_passed_over(foreign: str) -> None:
    assert "result" not in event(items=1, result=foreign)["data"]


def test_the_largest_result_fits_into_a_message() -> None:
    """A queue takes 256 KiB, and JSON of ASCII alone makes six bytes of two."""
    largest = json.dumps({"a": "é" * ((MAX_RESULT_BYTES - 8) // 2)}, ensure_ascii=False)
    assert len(json.dumps(event(result=largest))) < 200 * 1024
