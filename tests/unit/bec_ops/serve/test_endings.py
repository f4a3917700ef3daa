"""The words for how a job has ended."""

import pytest

from bec_ops.serve.endings import error_text
from bec_ops.serve.job_folder import End


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (End(0), ""),
        (End(3), "exit status 3"),
        (End(-9), "signal: killed"),
        (End(-11), "signal: segmentation fault"),
        (End(-15), "signal: terminated"),
        (End(-9, stopped=True), "signal: killed"),
        (End(-15, stopped=True), "stopped: signal: terminated"),
        (End(0, stopped=True), "stopped: exit status 0"),
        (End(143, stopped=True), "stopped: exit status 143"),
        (End(-999), "signal: 999"),
    ],
)
def test_an_end_is_told_as_clients_know_it(end: End, text: str) -> None:
    assert error_text(end) == text


def test_what_nobody_has_seen_is_lost() -> None:
    assert error_text(End(0, lost=True)).startswith("lost: ")
