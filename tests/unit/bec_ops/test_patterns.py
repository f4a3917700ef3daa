"""Patterns of artefacts' names: what they mean, what is refused, and that none takes long."""

import re
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_ops.contract.patterns import MAX_PATTERN_CHARACTERS, check_patterns, matches

DOCS = Path(__file__).resolve().parents[3] / "docs/volumes-and-outputs.md"


def test_the_table_of_the_docs_is_true() -> None:
    _, _, rest = DOCS.read_text(encoding="utf-8").partition("\n### What must be there\n")
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \| ([^|]*) \|$", rest, re.MULTILINE)
    assert len(rows) >= 6
    for pattern, met, unmet in rows:
        names = [re.findall(r"`([^`]+)`", cell) for cell in (met, unmet)]
        assert names[0]
        for name in names[0]:
            assert matches(pattern.strip("`"), name), (pattern, name)
        for name in names[1]:
            assert not matches(pattern.strip("`"), name), (pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.txt", ".txt"),
        ("*", "pages/.hidden"),
        ("**", "a/b"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("**/**/b", "b"),
        ("a/**", "a/b/c"),
        ("**/a/**/b", "x/a/a/b/b"),
        ("[[]1].txt", "[1].txt"),
        ("[!0]/?", "ཀ/ཁ"),
        ("a**b/c", "axyb/c"),
    ],
)
def test_what_matches(pattern: str, name: str) -> None:
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.txt", "a.TXT"),
        ("*.txt", "a.txt/b"),
        ("*.txt", "a.txt\n"),
        ("a/*", "a/b/c"),
        ("a/*", "b/a/c"),
        ("a/**", "a"),
        ("a/**/b", "a/bb"),
        ("a**b/c", "a/b/c"),
        ("?", "pages"),
        ("a/b", "a"),
        ("a/b", "a/b/c"),
        ("é", "e\u0301"),
    ],
)
def test_what_does_not(pattern: str, name: str) -> None:
    assert not matches(pattern, name)


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["/a"], "'/a' is no path under the output"),
        (["pages/"], "begins and ends without '/'.*: write \\*.txt, or pages/\\*.txt"),
        (["a//b"], "no path under the output"),
        (["../a"], "no path under the output"),
        (["a/./b"], "no path under the output"),
        ([""], "no path under the output"),
        (["success.json"], "is of the marker or of logs"),
        (["_logs/*"], "is of the marker or of logs"),
        (["a\nb"], "control character"),
        (["\ud800"], "lone surrogate"),
        (["x" * 257], "'x{40}'… has 257 characters: at most 256"),
        (["*/" * 8 + "a"], "has 9 parts: at most 8 are allowed"),
        (["*", "*"], "stands there twice"),
        ([f"{n}" for n in range(17)], "there are 17 patterns: at most 16"),
    ],
)
def test_what_is_refused(patterns: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_patterns(tuple(patterns))


def test_what_is_taken() -> None:
    patterns = ("*.txt", "volume.json", "pages/**/*.png", "..a", "[", "x" * MAX_PATTERN_CHARACTERS)
    assert check_patterns(patterns) == patterns
    assert check_patterns(()) == ()


def reference(pattern: str, text: str) -> bool:
    """Say the same as simply as can be: `*` and `?` alone, each way tried."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(reference(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and reference(pattern[1:], text[1:])


def reference_of_path(folders: list[str], path: list[str]) -> bool:
    if not folders:
        return not path
    if folders == ["**"]:
        return bool(path)
    if folders[0] == "**":
        return any(reference_of_path(folders[1:], path[n:]) for n in range(len(path) + 1))
    return (
        bool(path) and reference(folders[0], path[0]) and reference_of_path(folders[1:], path[1:])
    )


PARTS = st.one_of(st.text("ab*?", min_size=1, max_size=5), st.just("**"))
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
NAMES = st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4).map("/".join)


@given(PATTERNS, NAMES)
def test_it_is_as_the_plain_reading_says(pattern: str, name: str) -> None:
    folders, path = pattern.split("/"), name.split("/")
    if len(folders) == 1:
        assert matches(pattern, name) == reference(pattern, path[-1])
    else:
        assert matches(pattern, name) == reference_of_path(folders, path)


@given(st.text("*?[]!-^&|~ab/.\\", min_size=1, max_size=20), st.text(max_size=20))
def test_no_pattern_does_harm(pattern: str, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matches(pattern, name)


HOSTILE = ["*a" * 127 + "b", "*" * 255 + "b", "*?" * 127 + "b", "*[ab]" * 51, "*" + "a" * 250 + "b"]
HOSTILE += ["**/a/" * 3 + "**/b", "**/" * 7 + "b", "*a*a*a*a*b/" * 7 + "b"]


@pytest.mark.parametrize("pattern", HOSTILE, ids=range(len(HOSTILE)))
def test_none_takes_long(pattern: str) -> None:
    check_patterns((pattern,))
    for name in ("a" * 1000, "a/" * 500 + "a", ("a" * 30 + "/") * 30 + "a"):
        began = time.thread_time()
        assert not matches(pattern, name) or "[ab]" in pattern
        assert time.thread_time() - began < 0.5
