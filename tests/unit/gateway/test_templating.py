"""What a Job says of each volume, filled with the ids of one."""

import pytest

from bec_operator.gateway.faces.templating import fill
from bec_ops.contract.volume import Volume

VOLUME = Volume("W1", "I{w_id}", "v1")


@pytest.mark.parametrize(
    ("said", "filled"),
    [
        ("s3://b/{w_id}/{i_id}-{i_version}", "s3://b/W1/I{w_id}-v1"),
        ({"{w_id}": ["{w_id}", 3, {"a": "{i_version}"}]}, {"{w_id}": ["W1", 3, {"a": "v1"}]}),
        (None, None),
        ("{} {0} {w_id.__class__} {other} {{w_id}}", "{} {0} {w_id.__class__} {other} {W1}"),
        (1.5, 1.5),
        (True, True),
    ],
)  # fmt: skip
def test_ids_are_filled_in_and_nothing_else(said: object, filled: object) -> None:
    assert fill(said, VOLUME) == filled
