"""What the worker API takes: numbers within bounds, and fields that it does not know."""

import pytest
from pydantic import ValidationError

from bec_ops.contract.protocol import BIGGEST, Heartbeat, Next, Progress, Request

ABOUT = '"session": "s", "task_uid": "u", "attempt": 1'
HUGE = "9" * 400

WRONG: list[tuple[type[Request], str, str]] = [
    (Heartbeat, f'{{{ABOUT}, "progress": {{"done": {HUGE}, "total": 1}}}}', "less than or equal"),
    (Heartbeat, f'{{{ABOUT}, "progress": {{"done": 1, "total": {HUGE}}}}}', "less than or equal"),
    (Heartbeat, f'{{{ABOUT}, "activity": {HUGE}}}', "less than or equal"),
    (Heartbeat, f'{{{ABOUT}, "activity": {BIGGEST + 1}}}', "less than or equal"),
    (Heartbeat, f'{{"session": "s", "task_uid": "u", "attempt": {HUGE}}}', "less than or equal"),
    (Heartbeat, f'{{{ABOUT}, "activity": {"9" * 5000}}}', "out of range"),
    (Heartbeat, f'{{{ABOUT}, "activity": 1e999}}', "finite"),
    (Heartbeat, f'{{{ABOUT}, "activity": NaN}}', "finite"),
    (Heartbeat, f'{{{ABOUT}, "new": {"[" * 2000}{"]" * 2000}}}', "recursion"),
    (Heartbeat, '{"a":' * 9000, "recursion"),
    (Heartbeat, f'{{"session": "s", "task_uid": "{"u" * 9000}", "attempt": 1}}', "at most 256"),
    (Next, '{"session": "s", "wait": NaN}', "less than or equal"),
    (Next, f'{{"session": "s", "wait": {HUGE}}}', "less than or equal"),
]


@pytest.mark.parametrize(("model", "body", "says"), WRONG, ids=lambda value: str(value)[-30:])
def test_what_is_out_of_bounds_is_refused_in_a_sentence(
    model: type[Request], body: str, says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(body)
    (error,) = caught.value.errors()
    assert says in error["msg"]
    assert len(error["msg"]) < 200


def test_the_biggest_number_is_taken() -> None:
    beat = Heartbeat.model_validate_json(f'{{{ABOUT}, "activity": {BIGGEST}}}')
    assert beat.activity == BIGGEST


def test_what_a_newer_worker_adds_is_passed_over() -> None:
    body = f'{{{ABOUT}, "new": {{"x": 1}}, "progress": {{"done": 1, "rate": 2.5}}}}'
    assert Heartbeat.model_validate_json(body).progress == Progress(done=1)


@pytest.mark.parametrize(
    ("done", "total", "share"),
    [
        (3, 4, 0.75),
        (5, 4, 1.0),
        (10**400, 1, 1.0),
        (1, 10**400, 0.0),
        (10**400, 2 * 10**400, 0.5),
        (-(10**400), 1, 0.0),
        (10**400, -1, 0.0),
        (1, 0, 0.0),
        (1, None, 0.0),
    ],
)
def test_a_share_of_whatever_numbers(done: int, total: int | None, share: float) -> None:
    """What an older operator has taken in may be out of all bounds."""
    assert Progress.model_construct(done=done, total=total).share == share
