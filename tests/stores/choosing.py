"""Leaves out, by name and reason, what a server cannot be asked; counts what became of the rest."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from .servers import chosen

REPORT = "BEC_TEST_STORE_REPORT"
"""Names the file that `Tally` writes, for `make stores`."""

_NOT_ASKED = pytest.StashKey[Counter[str]]()


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out the tests that need what the server at hand lacks; `needs` names it."""
    lacks, kept, out = chosen().lacks, list[pytest.Item](), list[pytest.Item]()
    reasons = Counter[str]()
    for item in items:
        needed = {trait for mark in item.iter_markers("needs") for trait in mark.args}
        missing = sorted(needed & lacks)
        reasons.update(missing)
        (out if missing else kept).append(item)
    config.stash[_NOT_ASKED] = reasons
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = kept


class Tally:
    """A plug-in that writes down how a session ended."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes = Counter[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once, however many of its phases fail."""
        if report.when == "call" or not report.passed:
            self._outcomes[report.outcome] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the counts, and why some tests were not asked."""
        found = {
            "outcomes": self._outcomes,
            "not asked": session.config.stash.get(_NOT_ASKED, Counter()),
        }
        self._file.write_text(json.dumps(found))


def tally(config: pytest.Config) -> None:
    """Write down how the session ends, if somebody wants to know."""
    if file := os.environ.get(REPORT):
        config.pluginmanager.register(Tally(Path(file)), "tally")
