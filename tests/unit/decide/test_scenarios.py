"""Short plays, each of which holds all rules: see `scenarios`."""

import pytest

from tests.unit.decide.list_scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_rules_hold(name: str) -> None:
    SCENARIOS[name].run()
