"""Folders that are asked for among those that are listed."""

from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.storage.folders import Wanted

NAMES = st.lists(st.text(max_size=3), max_size=30)


@given(asked=NAMES, listed=NAMES)
def test_those_that_are_asked_for_are_found_and_no_others(
    asked: list[str], listed: list[str]
) -> None:
    found = Wanted(asked).among(iter(listed))
    assert {name for name in asked if hash(name) in found} == set(asked) & set(listed)
    assert len(found) <= len(set(asked))
