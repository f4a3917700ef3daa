"""Messages of a queue: the forms that BEC writes, and every fault, whatever stands there."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.sources.messages import ATTRIBUTES, EXPECTED, MessageError, read_message
from bec_operator.sources.text_lines import MAX_LINE
from bec_ops.contract.volume import Volume

PLAIN = {"w_id": "W1", "i_id": "I1"}
FULL = {"w_id": "W1", "i_id": "I1", "source": "bnf", "i_version": "a1b2c3"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PLAIN, Volume("W1", "I1")),
        (FULL, Volume("bnf:W1", "I1", "a1b2c3")),
        (PLAIN | {"source": "bdrc"}, Volume("W1", "I1")),
        (PLAIN | {"source": ""}, Volume("W1", "I1")),
        (PLAIN | {"i_version": "v1"}, Volume("W1", "I1", "v1")),
        ({"w_id": "ཀ 1", "i_id": "I:1"}, Volume("ཀ 1", "I:1")),
    ],
)
def test_body_and_attributes_say_the_same(said: dict[str, str], expected: Volume) -> None:
    body = json.dumps(said)
    assert read_message(body, said) == expected
    assert read_message(body, {}) == expected
    assert read_message("-", {name: value for name, value in said.items() if value}) == expected


@pytest.mark.parametrize("null", ["source", "i_version"])
def test_null_is_as_if_it_did_not_stand_there(null: str) -> None:
    assert read_message(json.dumps(PLAIN | {null: None}), {}) == Volume("W1", "I1")


def test_attributes_count_first_and_the_body_for_what_is_missing() -> None:
    body = json.dumps(FULL)
    assert read_message(body, {"w_id": "W2"}) == Volume("bnf:W2", "I1", "a1b2c3")
    assert read_message(body, {"i_id": "I2", "source": "bdrc"}) == Volume("W1", "I2", "a1b2c3")
    assert read_message("\ufeff" + body, {"i_version": "b"}) == Volume("bnf:W1", "I1", "b")


def test_other_attributes_and_other_keys_are_left_alone() -> None:
    body = json.dumps(PLAIN | {"job_name": "ldv1", "priority": 3})
    assert read_message(body, {"traceparent": "00-0-0"}) == Volume("W1", "I1")


def test_a_misspelt_key_is_no_matter_where_the_attributes_say_it() -> None:
    assert read_message('{"wId": "W2", "iId": "I2"}', PLAIN) == Volume("W1", "I1")
    with pytest.raises(MessageError, match="unknown key 'version', write i_version"):
        read_message('{"version": "a"}', PLAIN)


def test_with_both_ids_in_attributes_any_body_will_do_that_is_no_object() -> None:
    for body in ("-", "", "[" * 100_000, "x" * (MAX_LINE + 1), "null"):
        assert read_message(body, PLAIN) == Volume("W1", "I1")
    with pytest.raises(MessageError, match="twice"):
        read_message('{"source": "a", "source": "b"}', PLAIN)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "no JSON .*character 1"),
        ("W1,I1", "no JSON .*character 1"),
        ('{"w_id": "W1", "i_id": "I1"', "no JSON"),
        ('{"w_id": "W1", "i_id": "I1"} x', "no JSON .Extra data at character 30"),
        ("null", "not an object, but null"),
        ('[{"w_id": "W1", "i_id": "I1"}]', "not an object, but a list"),
        ('"W1"', "not an object, but a string"),
        ("true", "not an object, but true or false"),
        ("1" * 5000, "not an object, but a number"),
        ("NaN", "not an object, but a number"),
        ("[" * 20_000, "too deep"),
        ('{"w_id":' * 5_000, "too deep"),
        ("{}", "w_id is missing"),
        ('{"w_id": "W1"}', "i_id is missing"),
        ('{"w_id": "", "i_id": "I1"}', "w_id is missing"),
        ('{"w_id": null, "i_id": "I1"}', "w_id is missing"),
        ('{"w_id": 1, "i_id": "I1"}', "w_id must be a string, not a number"),
        ('{"w_id": "W1", "i_id": ["I1"]}', "i_id must be a string, not a list"),
        ('{"w_id": "W1", "i_id": "I1", "source": false}', "source must be a string, not true"),
        (f'{{"w_id": "W1", "i_id": "I1", "i_version": {"9" * 9000}}}', "i_version must be a str"),
        ('{"w_id": "W1", "w_id": "W2", "i_id": "I1"}', "a key stands there twice"),
        ('{"wId": "W1", "iId": "I1"}', "unknown key '[wi]Id', write [wi]_id if that is meant"),
        ('{"w_id": "W1", "i_id": "I1", "i_versoin": "a"}', "write i_version if that is meant"),
        (json.dumps({f"k{n}": n for n in range(65)}), "an object of 65 keys"),
        ("x" * (MAX_LINE + 1), "the body has 65,537 characters"),
    ],
)
def test_a_body_that_names_no_volume_is_told_with_what_is_expected(body: str, said: str) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        read_message(body, {})
    assert str(caught.value).endswith(EXPECTED)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"w_id": "W" * 129}, "w_id: the id .* has 129 characters; at most 128"),
        ({"source": "s" * 126}, "w_id: the id .* has 129 characters; at most 128"),
        ({"i_id": "I\n1"}, r"i_id: the id .* holds U\+000A"),
        ({"i_id": "I\ud800"}, r"i_id: the id .* holds U\+D800"),
        ({"i_version": "\x00"}, r"i_version: the id .* holds U\+0000"),
        ({"w_id": "W1 "}, r"w_id: the id begins or ends with a blank"),
        ({"source": " "}, r"w_id: the id begins or ends with a blank"),
        ({"i_id": "I1\u200b"}, r"i_id: the id holds the invisible character U\+200B"),
    ],
)
def test_ids_are_those_that_a_list_may_have(said: dict[str, str], wrong: str) -> None:
    with pytest.raises(MessageError, match=wrong):
        read_message(json.dumps(PLAIN | said), {})
    with pytest.raises(MessageError, match=wrong):
        read_message("-", PLAIN | said)


TEXTS = st.text(max_size=200)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*ATTRIBUTES, "wId", "version", "x"]) | TEXTS
BODIES = TEXTS | VALUES.map(json.dumps) | st.dictionaries(KEYS, VALUES).map(json.dumps)


@given(BODIES, st.dictionaries(KEYS, TEXTS))
def test_whatever_comes_is_a_volume_or_a_sentence(body: str, attributes: dict[str, str]) -> None:
    volume, said = read(body, attributes)
    assert len(said) < 500
    if volume is None:
        assert said
    else:
        assert volume.w_id
        assert volume.i_id
        assert all(len(part) <= 128 for part in volume)


def read(body: str, attributes: dict[str, str]) -> tuple[Volume | None, str]:
    """Return what is made of a message: a volume, or what is wrong."""
    try:
        return read_message(body, attributes), ""
    except MessageError as error:
        return None, str(error)


LONG = "tell-me-not-" * 20


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        (LONG, {}),
        (json.dumps(LONG), {}),
        (json.dumps({LONG: 1}), {}),
        (json.dumps({f"version {'-' * 99}{LONG}": 1}), {}),
        (f'{{"{LONG}": 1, "{LONG}": 2}}', {}),
        (json.dumps({"w_id": LONG, "i_id": [LONG]}), {}),
        (json.dumps({"w_id": LONG, "i_id": "I1"}), {}),
        (json.dumps({"w_id": f"W1 {LONG}"[:128], "i_id": f"\u200b{LONG}"[:128]}), {}),
        (json.dumps({"w_id": "W1"}), {"i_id": LONG}),
        ("-", {"w_id": "W1", "i_id": "I1", "source": LONG}),
    ],
)
def test_no_more_than_32_characters_of_a_message_are_told(
    body: str, attributes: dict[str, str]
) -> None:
    volume, said = read(body, attributes)
    assert volume is None
    assert LONG[:33] not in said
    assert "-" * 33 not in said


def test_a_message_of_many_keys_costs_next_to_nothing() -> None:
    began = time.monotonic()
    for keys in (64, 9_000):
        assert read(json.dumps({f"vers{n}": 1 for n in range(keys)}), {})[0] is None
    assert time.monotonic() - began < 1
