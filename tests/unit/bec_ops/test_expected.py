"""What is expected of an output, looked for among what is there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bec_ops.contract import expected
from bec_ops.contract.expected import Found, is_artefact, look
from bec_ops.contract.protocol import MESSAGE_CHARACTERS

REDO_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Objects:
    """What is there, with its age in seconds since REDO_AT; counts what is asked for."""

    def __init__(self, *names: str, **ages: float) -> None:
        self._ages = dict.fromkeys(names, 0.0) | ages
        self.shown = self.asked = 0

    def listed(self) -> Iterator[str]:
        for name in self._ages:
            self.shown += 1
            yield name

    def written(self, name: str) -> datetime | None:
        self.asked += 1
        return REDO_AT + timedelta(seconds=self._ages[name])


def test_it_stops_when_all_is_found() -> None:
    objects = Objects("1.txt", "2.txt", "volume.json", "z")
    assert not look(objects, ["*.txt", "volume.json"]).missing
    assert (objects.shown, objects.asked) == (3, 0)


def test_nothing_is_asked_where_nothing_is_expected() -> None:
    objects = Objects("1.txt")
    assert not look(objects, []).missing
    assert objects.shown == 0


def test_neither_the_marker_nor_logs_are_artefacts() -> None:
    objects = Objects("_logs/attempt-1.log", "success.json", "pages/")
    found = look(objects, ["*"])
    assert (found.missing, found.seen) == (["*"], 0)
    assert found.sentence() == (
        "nothing there matches '*', which spec.output.expect demands; it is empty"
    )
    assert is_artefact("pages/success.json")


def test_what_is_missing_is_named_with_what_is_there_instead() -> None:
    found = look(Objects("a.log", *(f"{n}.png" for n in range(9))), ["*.txt", "*.log", "v.json"])
    assert found.sentence() == (
        "nothing there matches '*.txt', 'v.json', which spec.output.expect demands; there is "
        "'a.log', '0.png', '1.png', '2.png', '3.png' and 5 more"
    )


def test_the_sentence_of_the_docs_is_the_one() -> None:
    page = Path(__file__).resolve().parents[3] / "docs/volumes-and-outputs.md"
    assert f": {look(Objects('out.log'), ['*.txt']).sentence()}\n" in page.read_text("utf-8")


def test_what_is_older_than_redo_at_does_not_count() -> None:
    objects = Objects(**{"old.txt": -1, "v.json": 0, "z.txt": 1})
    assert not look(objects, ["*.txt", "v.json"], REDO_AT).missing
    assert objects.asked == 3
    found = look(Objects(**{"old.txt": -1, "v.json": 5}), ["*.txt", "v.json"], REDO_AT)
    assert found.missing == ["*.txt"]
    assert "1 that would do are from before redoAt" in found.sentence()


def test_the_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "LOOKED_AT_MOST", 10)
    objects = Objects(*(f"a/{n}" for n in range(8)))
    found = look(objects, ["*.txt"])
    assert found.cut
    assert objects.shown == 6
    assert "too many to look at all" in found.sentence()
    monkeypatch.setattr(expected, "AGES_AT_MOST", 2)
    objects = Objects(**{f"{n}.txt": -1 for n in range(8)})
    assert look(objects, ["*.txt"], REDO_AT).outdated == 8
    assert objects.asked == 2


def test_the_sentence_is_short_and_plain_whatever_the_names_are() -> None:
    found = Found([f"{n}" + "\u200b" * 250 for n in range(16)])
    for n in range(20):
        found.note(f"{n}\n\x1b[31m{'x' * 900}")
    assert len(found.sentence()) < MESSAGE_CHARACTERS
    assert found.sentence().isprintable()
