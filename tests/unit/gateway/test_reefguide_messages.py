"""Which results of ReefGuide's workers may stand in a marker."""

from typing import Any

import pytest

from bec_operator.gateway.faces.reefguide.messages import RESULT_BYTES, Credentials, fault_of

DEEP: dict[str, Any] = {}
for _ in range(101):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, ""),
        ({}, ""),
        ({"cog_path": "regional_assessment.tiff"}, ""),
        ({"a": "x" * (RESULT_BYTES - len('{"a": ""}'))}, ""),
        ({"a": "x" * (RESULT_BYTES - len('{"a": ""}') + 1)}, f"{RESULT_BYTES} are allowed"),
        ({"a": float("nan")}, "no JSON"),
        ({"a": "\ud800"}, "no JSON"),
        (DEEP, "levels"),
    ],
)
def test_what_is_wrong_with_a_result_is_said(payload: dict[str, Any] | None, said: str) -> None:
    fault = fault_of(payload)
    assert said in fault
    assert bool(fault) == bool(said)


@pytest.mark.parametrize(("email", "name"), [("reef", "reef"), ("reef@gpu.example.org", "reef")])
def test_the_name_of_an_enrolment_is_what_is_before_the_at(email: str, name: str) -> None:
    assert Credentials.model_validate({"email": email, "password": "t"}).name == name
