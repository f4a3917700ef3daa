"""decide, and act with it, under everything that can happen: see `machine`."""

from hypothesis import settings

from tests.unit.decide.machine import OperatorMachine

TestOperator = OperatorMachine.TestCase
TestOperator.settings = settings(max_examples=100, stateful_step_count=50)
