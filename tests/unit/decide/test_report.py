"""`report.csv`: which volumes are in it, what it says of them, and when it is compiled."""

import csv
from typing import Any

import pytest

from bec_operator.decide.sight.failures import RULES, FailureClass
from bec_operator.decide.volumes.failure_report import FailureReport, Line, table
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume

VOLUMES = [Volume("W1", f"I{n}", "v1") for n in range(6)]
TERMINAL, MEMORY = FailureClass.TERMINAL, FailureClass.OUT_OF_MEMORY


def _line(index: int, failure: FailureClass = TERMINAL, **more: Any) -> Line:
    w_id, i_id, i_version = more.pop("volume", VOLUMES[index])
    return Line.model_validate(
        {
            "jobUid": "uid",
            "index": index,
            "wId": w_id,
            "iId": i_id,
            "iVersion": i_version,
            "task": f"task-{index}",
            "class": failure.label,
            "message": "torn",
            "attempts": [
                {"number": 1, "pod": "p1", "failure": failure.label},
                {
                    "number": 2,
                    "pod": "p2",
                    "failure": failure.label,
                    "endTime": "2026-11-25T10:00:00Z",
                    "log": "s3://b/w/_logs/attempt-2.log",
                },
            ],
            **more,
        }
    )


def _ledger(**outcomes: tuple[Outcome, int]) -> Ledger:
    ledger = Ledger.fresh("sha", len(VOLUMES))
    for volume, (outcome, code) in outcomes.items():
        ledger.settle(int(volume.removeprefix("i")), outcome, code)
    return ledger


def _rows(report: FailureReport, ledger: Ledger) -> list[dict[str, str]]:
    return list(csv.DictReader(table(report.rows, ledger, VOLUMES).decode().splitlines()))


def test_a_row_says_all_that_is_known_of_a_failure() -> None:
    report = FailureReport()
    report.note([_line(1)])
    assert _rows(report, _ledger(i1=(Outcome.FAILED, TERMINAL))) == [
        {
            "w_id": "W1",
            "i_id": "I1",
            "i_version": "v1",
            "class": "Terminal",
            "attempts": "2",
            "message": "torn",
            "log": "s3://b/w/_logs/attempt-2.log",
            "ended": "2026-11-25T10:00:00Z",
            "task": "task-1",
            "outcome": "failed",
        }
    ]


def test_only_what_is_failed_or_skipped_now_is_in_it() -> None:
    report = FailureReport()
    report.note([_line(4), _line(1), _line(2)])
    ledger = _ledger(i1=(Outcome.FAILED, TERMINAL), i4=(Outcome.FAILED, TERMINAL))
    assert [row["i_id"] for row in _rows(report, ledger)] == ["I1", "I4"]
    ledger.settle(1, Outcome.WAITING)
    ledger.settle(4, Outcome.SUCCEEDED)
    assert _rows(report, ledger) == []


def test_the_last_line_of_a_volume_counts_whenever_the_older_ones_are_read() -> None:
    ledger = _ledger(i1=(Outcome.FAILED, TERMINAL), i2=(Outcome.FAILED, TERMINAL))
    report = FailureReport()
    report.note([_line(1, message="third")])
    older = FailureReport()
    older.note([_line(1, message="first"), _line(1, message="second"), _line(2)])
    report.note_older(older)
    assert [row["message"] for row in _rows(report, ledger)] == ["third", "torn"]


def test_a_volume_without_a_line_of_its_class_is_told_by_the_ledger() -> None:
    report = FailureReport()
    report.note([_line(1, message="from before it was tried again")])
    ledger = _ledger(i1=(Outcome.FAILED, MEMORY), i3=(Outcome.SKIPPED, 0))
    first, second = _rows(report, ledger)
    assert (first["class"], first["message"]) == ("OutOfMemory", RULES[MEMORY].meaning)
    assert (first["attempts"], first["outcome"]) == ("", "failed")
    assert (second["i_id"], second["class"], second["outcome"]) == ("I3", "", "skipped")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('=cmd|"/c calc"!A1', '\'=cmd|"/c calc"!A1'),
        ("+1", "'+1"),
        ("-lead", "'-lead"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        ("\r\n=1+1", "' =1+1"),
        ("＝1+1", "'＝1+1"),
        ('a "word", and\nanother line', 'a "word", and another line'),
        ("page 7 - torn", "page 7 - torn"),
    ],
)
def test_no_cell_is_a_formula(said: str, told: str) -> None:
    report = FailureReport()
    report.note([_line(0, message=said)])
    (row,) = _rows(report, _ledger(i0=(Outcome.FAILED, TERMINAL)))
    assert row["message"] == told


def test_ids_are_no_formulas_either() -> None:
    volume = Volume("=W", "@I", "-1")
    report = FailureReport()
    ledger = Ledger.fresh("sha", 1)
    ledger.settle(0, Outcome.FAILED, TERMINAL)
    told = table(report.rows, ledger, [volume]).decode()
    report.note([_line(0, volume=volume)])
    for text in (told, table(report.rows, ledger, [volume]).decode()):
        assert text.splitlines()[1].startswith("'=W,'@I,'-1,")


def test_it_is_compiled_once_a_minute_and_at_the_end() -> None:
    report, ledger = FailureReport(), _ledger()
    assert report.is_due(ledger, 1000.0, over=False)  # what an older one says is not known
    report.compiled, report.compiled_at = ledger.changes, 1000.0
    ledger.settle(0, Outcome.SUCCEEDED)
    assert not report.is_due(ledger, 2000.0, over=True)
    ledger.settle(1, Outcome.FAILED, TERMINAL)
    assert not report.is_due(ledger, 1059.0, over=False)
    assert report.is_due(ledger, 1059.0, over=True)
    assert report.is_due(ledger, 1060.0, over=False)
    report.compiled = ledger.changes
    ledger.settle(1, Outcome.WAITING)  # it is tried again
    assert not report.is_current(ledger)


def test_volumes_without_an_attempt_share_what_is_said_of_them() -> None:
    """A job that depends on one that has failed may have hundreds of thousands of these."""
    report, why = FailureReport(), "skipped without an attempt: Job ldv1 has failed"
    report.note(
        Line.of("uid", index, VOLUMES[index], "DependencyFailed", why, "", ()) for index in (0, 1)
    )
    assert report.rows[0] is report.rows[1]
    ended = (Outcome.SKIPPED, FailureClass.DEPENDENCY_FAILED)
    first, second = _rows(report, _ledger(i0=ended, i1=ended))
    assert [first["message"], second["message"]] == [why, why]
    assert [first["i_id"], second["i_id"]] == ["I0", "I1"]
    assert (first["attempts"], first["outcome"]) == ("0", "skipped")
