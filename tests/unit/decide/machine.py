"""The state machine: operators that die at any instant, pods that end in any way, foreign hands.

Each example is one Job in one world. The rules are checked at every request (`guard`); when all
steps are done the Job is played to its end, and every count is compared with the truth.
"""

import logging
import sys

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.decide.deeds import DEEDS
from tests.unit.decide.listing import Kind
from tests.unit.decide.plan import LONG, SHORT, Plan
from tests.unit.decide.receiving import played
from tests.unit.decide.stage import Stage

LOG = logging.getLogger("bec_operator")
KINDS: list[Kind] = ["items", "manifest", "configMap"]
MAX_FAILED: list[int | str] = ["100%", "10%", 1, 0]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a Job, and the world it is in."""
    volumes = draw(st.integers(1, 12))
    members = st.frozensets(st.integers(0, volumes - 1), max_size=3)
    return Plan(
        volumes=volumes,
        parallelism=draw(st.integers(1, 4)),
        limit=draw(st.integers(1, 3)),
        keep_succeeded=draw(st.integers(0, 2)),
        keep_failed=draw(st.integers(0, 2)),
        max_failed=draw(st.sampled_from(MAX_FAILED)),
        done_before=draw(members),
        sidecar=draw(st.booleans()),
        hopeless=draw(members),
        timeouts=draw(st.sampled_from([LONG, LONG, SHORT])),
        source=draw(st.sampled_from(KINDS)),
        results=draw(st.booleans()),
    )


class _Broken(logging.Handler):
    """Notes what the operator calls broken: exceptions that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


class OperatorMachine(RuleBasedStateMachine):
    """All that can happen to one Job.

    One rule chooses among all deeds: hypothesis leaves out half of many rules in each example,
    and a Job needs nearly all of them to get anywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stage: Stage | None = None
        self.broken = _Broken()
        self.played = played()
        self.played.start()
        LOG.addHandler(self.broken)
        LOG.setLevel(logging.ERROR)

    @initialize(plan=plans())
    def apply(self, plan: Plan) -> None:
        self.stage = Stage(plan)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        stage = self.stage
        assert stage is not None
        possible = [deed for deed in DEEDS for _ in range(deed.often) if deed.possible(stage)]
        data.draw(st.sampled_from(possible)).do(stage, data.draw)

    @invariant()
    def nothing_broke(self) -> None:
        assert not self.broken.records, self.broken.records[0]

    def teardown(self) -> None:
        LOG.removeHandler(self.broken)
        LOG.setLevel(logging.NOTSET)
        try:
            if sys.exception() is None and self.stage is not None:  # it has not failed already
                self.stage.play_to_the_end()
        finally:
            self.played.stop()
