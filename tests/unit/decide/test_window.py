"""How many tasks a job may have at once, whatever became of them."""

import pytest

from bec_operator.api.job import JobSpec
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.ledger import Ledger, Outcome
from bec_operator.decide.memory import Memory
from bec_operator.decide.seen import JobSeen, TaskSeen
from bec_operator.decide.window import MAX_ENDED, Standings, launches
from bec_ops.volume import Volume

TOTAL = 3000
SPEC = JobSpec.model_validate(
    {
        "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "parallelism": 100,
        "history": {"succeeded": 10, "failed": 0},
    }
)
MOST = 100 + MAX_ENDED + 10


def _memory(ended: int) -> Memory:
    """A job of which so many tasks have succeeded and are still there."""
    memory = Memory(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC))
    volumes = [Volume("W1", f"I{number}") for number in range(TOTAL)]
    prefixes = [f"artefacts/ocr/W1-I{number}/" for number in range(TOTAL)]
    memory.load(volumes, prefixes, Ledger.fresh("sha", TOTAL), 0.0)
    assert memory.ledger is not None
    for index in range(ended):
        memory.tasks[index] = TaskSeen(
            "ns", f"t{index}", f"u{index}", 1, "j", "j", index, phase=TaskPhase.SUCCEEDED
        )
        memory.ledger.settle(index, Outcome.SUCCEEDED)
    return memory


@pytest.mark.parametrize(
    ("ended", "new"), [(0, 100), (10, 100), (MOST - 100, 100), (MOST - 30, 30), (MOST, 0), (999, 0)]
)
def test_tasks_that_have_ended_do_not_pile_up(ended: int, new: int) -> None:
    """kueue#4266: what the API server is slow to take away holds up what is new, in the end."""
    memory = _memory(ended)
    standings = Standings.of(memory, {})
    assert launches(memory, standings, 10_000, 1.0).tasks == new
