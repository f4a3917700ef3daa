"""Counting items, and reading what other programs count."""

from pathlib import Path

import pytest

from bec_ops.contract.protocol import BIGGEST, Progress
from bec_ops.link.meter import DEFAULT_UNIT, Meter
from bec_ops.program.progress_lines import parse_progress
from bec_ops.runtime.memory import oom_kills


def test_items_are_counted_and_each_change_is_told() -> None:
    seen: list[str] = []
    meter = Meter(on_change=lambda progress: seen.append(str(progress)))
    assert meter.progress is None
    meter.start(3, "lines")
    meter.advance()
    meter.advance(2)
    meter.start(None)
    meter.show(Progress(done=7, total=9, unit="x"))
    assert seen == ["0/3 lines", "1/3 lines", "3/3 lines", "0 pages", "7/9 x"]
    assert meter.activity == 5
    meter.note_activity()
    assert (meter.activity, str(meter.progress)) == (6, "7/9 x")


def test_items_may_be_counted_before_their_number_is_known() -> None:
    meter = Meter()
    meter.advance()
    assert str(meter.progress) == "1 pages"


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("bec-progress 12/480 pages", "12/480 pages"),
        ("  bec-progress\t12 / 480\tpages\r", "12/480 pages"),
        ("bec-progress 12/480", "12/480 pages"),
        ("bec-progress 7 lines", "7 lines"),
        ("bec-progress 0", "0 pages"),
        ("bec-progress", None),
        ("bec-progress -1/2", None),
        ("bec-progress 1/2 too many words", None),
        (f"bec-progress 1/2 {'u' * 33}", None),
        (f"bec-progress {'9' * 13}", None),
        ("I say bec-progress 1/2", None),
        ("", None),
    ],
)
def test_lines_of_progress(line: str, progress: str | None) -> None:
    found = parse_progress(line)
    assert (str(found) if found else None) == progress


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("low 0\nhigh 2\nmax 7\noom 5\noom_kill 3\noom_group_kill 0\n", 3),  # v2
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),  # v1
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
        ("", 0),
    ],
)
def test_the_kernel_counts_what_it_kills(tmp_path: Path, content: str, count: int) -> None:
    (tmp_path / "events").write_text(content)
    assert oom_kills([tmp_path / "none", tmp_path / "events"]) == count
    assert oom_kills([tmp_path / "none"]) == 0


def test_nobody_counts_further_than_the_operator_takes() -> None:
    meter = Meter()
    meter.start(10**400)
    meter.advance(10**400)
    meter.advance()
    assert meter.progress == Progress(done=BIGGEST, total=BIGGEST, unit=DEFAULT_UNIT)
    meter.advance(-(10**400))
    assert meter.progress == Progress(done=0, total=BIGGEST, unit=DEFAULT_UNIT)
