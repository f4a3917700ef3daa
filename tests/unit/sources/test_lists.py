"""Lists of volumes: every form that is read, and every fault by its line."""

import gzip
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.sources import lists
from bec_operator.sources.lists import ListError, parse_list
from bec_ops.volume import Volume

TWO = [Volume("W1", "I1"), Volume("W2", "I2")]
VERSIONED = [Volume("W1", "I1", "a"), Volume("W2", "I2", "b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W1,I1\nW2,I2\n", TWO),
        ("W1,I1\nW2,I2", TWO),
        ("W1,I1\r\nW2,I2\r\n", TWO),
        ("\ufeffW1,I1\nW2,I2\n", TWO),
        ("# a list\n\nW1,I1\n   \n  # more\nW2,I2\n\n", TWO),
        (' W1 , "I1"\n"W2",I2 \n', TWO),
        ("W1,I1,a\nW2,I2,b\n", VERSIONED),
        ("W1,I1,\nW2,I2,\n", TWO),
        ("W1,I1,,\nW2,I2,,b\n", [Volume("W1", "I1"), Volume("W2", "I2", "b")]),
        ("W1,I1,bnf,a\n", [Volume("bnf:W1", "I1", "a")]),
        ("w_id,i_id\nW1,I1\nW2,I2\n", TWO),
        ("# made today\ni_version,I_ID,w_id\na,I1,W1\nb,I2,W2\n", VERSIONED),
        ("source,w_id,i_id\nbnf,W1,I1\n,W2,I2\n", [Volume("bnf:W1", "I1"), Volume("W2", "I2")]),
        ('"W,1",I\u2028ཀ\n', [Volume("W,1", "I\u2028ཀ")]),
    ],
)
def test_every_form_of_csv(text: str, expected: list[Volume]) -> None:
    assert parse_list(text.encode(), "list.csv") == expected
    assert parse_list(gzip.compress(text.encode()), "list.csv.gz") == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"wId": "W1", "iId": "I1"}\n{"wId": "W2", "iId": "I2", "iVersion": null}\n', "list"),
        ('\ufeff\n# list\n {"iId": "I1", "wId": "W1"}\r\n{"wId": "W2", "iId": "I2"}', "list"),
        ('{"wId": "W1", "iId": "I1", "iVersion": ""}\n{"wId":"W2","iId":"I2"}', "a.jsonl"),
    ],
)
def test_every_form_of_json_lines(text: str, name: str) -> None:
    assert parse_list(text.encode(), name) == TWO
    assert parse_list(gzip.compress(text.encode()), f"{name}.gz") == TWO


def test_a_json_list_keeps_versions_and_blanks() -> None:
    line = b'{"wId": " W1", "iId": "I1", "iVersion": "a"}'
    assert parse_list(line, "list") == [Volume(" W1", "I1", "a")]


def test_a_list_of_several_gzip_members_is_read_to_its_end() -> None:
    data = gzip.compress(b"W1,I1\n") + gzip.compress(b"W2,I2\n")
    assert parse_list(data, "list.csv") == TWO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("W1,I1\n\nW2\n", r"line 3: 1 column\(s\); expected w_id,i_id as before"),
        ("W1\n", r"line 1: 1 column\(s\); expected w_id,i_id or w_id,i_id,i_version or"),
        ("a,b,c,d,e\n", r"line 1: 5 column\(s\)"),
        ("W1,I1\nW2,I2,a\n", r"line 2: 3 column\(s\); expected w_id,i_id as before"),
        ("w_id,i_id\nW1,I1,a\n", "line 2: 3 column"),
        ("# x\nw_id,i_id,i_verison\n", "line 2: the header has the column 'i_verison'"),
        ("w_id,i_id,w_id\n", "line 1: the header has the column 'w_id'"),
        ("W1,I1\n,I2\n", "line 2: w_id: an id must not be empty"),
        ("W1,I1\nW2, \n", "line 2: i_id: an id must not be empty"),
        (f"W1,I1\nW2,{'x' * 129}\n", "line 2: i_id: .* 129 characters"),
        (f"{'s' * 128},I1\n{'W' * 100},I1,{'s' * 28},a", r"line 2: 4 column"),
        (f"{'W' * 100},I1,{'s' * 28},a", "line 1: w_id: .* 129 characters"),
        ("W1,I1\nW\t2,I2\n", r"line 2: w_id: .*U\+0009"),
        ("W1,I1\n# x\nW1,I1\n", "line 3: the volume W1/I1 stands in line 1 already"),
        ("W1,I1,s,\ns:W1,I1,,\n", "line 2: the volume s:W1/I1 stands in line 1"),
        ('W1,I1\n"W2,I2\nW3,I3\n', "line 2: "),
        ('W1,I1\n"W2,I2\n"W3,I3\n', "line 2: "),
        ('W1,I1\n"W2"x,I2\n', "line 2: "),
        ("W1,I1\rW2,I2\n", "line 1: "),
        ("W1,I1\n\0\n", "line 2: not text"),
        ("", "names no volume; expected w_id,i_id"),
        ("# nothing\n\n", "names no volume"),
        ("w_id,i_id\n", "names no volume"),
        ('{"wId": "W1", "iId": "I1"}\nW2,I2\n', 'line 2: .*; expected {"wId"'),
        ('{"wId": "W1", "iId": "I1"}\n["W2", "I2"]\n', "line 2: not an object"),
        ('{"wId": "W1"}\n', "line 1: iId is missing"),
        ('{"w_id": "W1", "i_id": "I1"}\n', "line 1: unknown key 'i_id'"),
        ('{"wId": "W1", "iId": 1}\n', "line 1: iId must be a string, not 1"),
        ('{"wId": "W\\ud800", "iId": "I1"}\n', r"line 1: w_id: .*U\+D800"),
        ('{"wId": "W1", "iId": "I1"}\n{"iId": "I1", "wId": "W1"}\n', "line 2: .*in line 1"),
    ],
)
def test_a_fault_is_told_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ListError, match=f"^s3://b/list.*{said}"):
        parse_list(text.encode("utf-8"), "s3://b/list")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"W1,I1\nW\xe9,I2\n", "line 2: not text in UTF-8"),
        ("W1,I1\n".encode("utf-16"), "not text"),
        (gzip.compress(b"W1,I1\n" * 99, mtime=0)[:-9], "cannot be unpacked"),
        (gzip.compress(b"W1,I1\n", mtime=0)[:4], "cannot be unpacked"),
        (gzip.compress(b"W1,I1\n", mtime=0)[:10] + b"\xff" * 20, "cannot be unpacked"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ListError, match=f"^list.csv.*{said}"):
        parse_list(data, "list.csv")


def test_a_small_file_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_UNPACKED_BYTES", 1024 * 1024)
    assert len(parse_list(gzip.compress(b"W1,I1\n" + b"\n" * (2**20 - 6)), "list")) == 1
    with pytest.raises(ListError, match="larger than 1 MiB when unpacked"):
        parse_list(gzip.compress(b"W1,I1\n" + b"\n" * 2**20), "list")


@given(st.binary(max_size=200))
def test_any_bytes_are_volumes_or_a_list_error(data: bytes) -> None:
    try:
        volumes = parse_list(data, "list")
    except ListError:
        return
    assert volumes


ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)


@given(st.lists(st.builds(Volume, ids, ids, st.one_of(st.just(""), ids)), min_size=1, unique=True))
def test_json_lines_carry_any_volume(volumes: list[Volume]) -> None:
    rows = ({"wId": w_id, "iId": i_id, "iVersion": version} for w_id, i_id, version in volumes)
    data = "\n".join(json.dumps(row) for row in rows).encode()
    assert parse_list(data, "list.jsonl") == volumes


@pytest.mark.parametrize("form", ["W{0},I{0},v{0}", '{{"wId": "W{0}", "iId": "I{0}"}}'])
def test_a_long_list_is_read_in_moments(form: str) -> None:
    data = "\n".join(form.format(number) for number in range(200_000)).encode()
    begun = time.process_time()
    assert len(parse_list(data, "list")) == 200_000
    # One second of CPU on a quiet machine; anything quadratic would take minutes.
    assert time.process_time() - begun < 10
