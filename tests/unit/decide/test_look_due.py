"""When a source of volumes is looked at: as its Job says, or else as the operator is set."""

from typing import Any

import pytest

from bec_operator.api.job import JobSpec
from bec_operator.decide.lists.growth import is_look_due
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen, ListSeen
from bec_operator.decide.volumes.ledger import Ledger
from bec_ops.contract.volume import Volume
from tests.support.jobs import job

NOW = 1000.0
USUAL = 60.0
FOLDERS = {"uri": "s3://b/{w_id}/{i_id}/"}
QUERY = {"connection": "catalogue", "query": "SELECT w_id, i_id FROM volumes"}


@pytest.mark.parametrize(
    ("source", "every"),
    [
        ({"manifest": {"uri": "s3://b/list.csv"}}, USUAL),
        ({"sql": QUERY}, USUAL),
        ({"sql": {**QUERY, "every": "10m"}}, 600.0),
        ({"s3": FOLDERS}, 3600.0),
        ({"s3": {**FOLDERS, "every": "5s"}}, 5.0),
    ],
)
def test_a_job_says_how_often(source: dict[str, Any], every: float) -> None:
    spec = JobSpec.model_validate(job("ocr", "bucket", source)["spec"])
    memory = Memory(JobSeen("texts", "ocr", "uid", 1, 1, created="", spec=spec))
    memory.load([Volume("W1", "I1")], ["W1/I1/"], Ledger.fresh("sha", 1), NOW)
    assert is_look_due(memory, NOW, USUAL), "it was never looked at"

    memory.books.note_list(ListSeen(NOW, 1, settled=0), None)

    assert not is_look_due(memory, NOW + every - 1, USUAL)
    assert is_look_due(memory, NOW + every, USUAL)
