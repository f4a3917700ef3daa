"""Volumes: how they read, and which ids are refused."""

import pytest

from bec_ops.contract.volume import MAX_ID_CHARACTERS, Volume, check_id, check_volume


def test_a_volume_reads_as_its_ids_and_its_version() -> None:
    assert str(Volume("W1", "I1")) == "W1/I1"
    assert str(Volume("W1", "I1", "1a2b3c")) == "W1/I1@1a2b3c"


@pytest.mark.parametrize("value", ["W1KG1234", "bnf:ark-1", "..", "a b/c", "ཀ", "x" * 128])
def test_any_readable_id_will_do(value: str) -> None:
    check_id(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "must not be empty"),
        ("x" * (MAX_ID_CHARACTERS + 1), "has 129 characters; at most 128"),
        ("W1\n", r"U\+000A"),
        ("W\x9f1", r"U\+009F"),
        ("W\ud8001", r"U\+D800"),
    ],
)
def test_what_can_be_no_id_is_refused_with_the_reason(value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_id(value)


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (Volume("", "I1"), "^w_id: .*empty"),
        (Volume("W1", ""), "^i_id: .*empty"),
        (Volume("W1", "I1", "\t"), r"^i_version: .*U\+0009"),
    ],
)
def test_a_volume_is_refused_by_the_name_of_its_part(volume: Volume, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_volume(volume)


def test_a_version_may_be_empty() -> None:
    check_volume(Volume("W1", "I1", ""))
