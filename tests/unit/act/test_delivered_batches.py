"""How much is delivered together: so many results, and so much of what handlers have returned."""

from typing import Any, cast

import pytest

from bec_operator.act.telling import results
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import Result
from bec_ops.contract.returned import MAX_RESULT_BYTES, as_text
from tests.support.own_tables import result

NOBODY = cast("Any", None)


@pytest.mark.parametrize(
    ("characters", "parts"),
    [
        (10, results.AT_ONCE),
        (MAX_RESULT_BYTES, results.CHARACTERS_AT_ONCE // MAX_RESULT_BYTES + 1),
    ],
)
async def test_a_batch_is_bounded(
    monkeypatch: pytest.MonkeyPatch, characters: int, parts: int
) -> None:
    returned = as_text({"a": "x" * (characters - 8)})
    one = result(1).model_copy(update={"made": Made(result=returned)})

    async def read_part(*_: object) -> list[Result]:
        return [one]

    monkeypatch.setattr(results, "read_part", read_part)
    waiting = [str(n) for n in range(600)]
    batch = await results._read(NOBODY, NOBODY, waiting)
    assert (len(batch.parts), len(waiting)) == (parts, 600 - parts)
