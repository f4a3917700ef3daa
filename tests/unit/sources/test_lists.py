"""Lists of volumes: every form that is read, and every fault by its line."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources import lists
from bec_operator.sources.text_lines import MAX_LINE, ListError
from bec_operator.sources.unseen import unseen
from bec_ops.contract.volume import Volume

TWO = [Volume("W1", "I1"), Volume("W2", "I2")]
VERSIONED = [Volume("W1", "I1", "a"), Volume("W2", "I2", "b")]


def parse_list(data: bytes, name: str, max_volumes: int = lists.MAX_VOLUMES) -> VolumeList:
    """Read a list that comes in chunks of some size."""
    size = 1 + len(data) % 7 if len(data) < 10_000 else 256 * 1024
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    return lists.parse_list(chunks, name, max_volumes)


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
        ('"W,1",I\u3000ཀ\n', [Volume("W,1", "I\u3000ཀ")]),
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
    line = b'{"wId": "W 1", "iId": "I1", "iVersion": "a"}'
    assert parse_list(line, "list") == [Volume("W 1", "I1", "a")]


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
        ('{"wId": "W1", "iId": 1}\n', "line 1: iId must be a string, not a number"),
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


def test_a_small_file_cannot_fill_the_memory() -> None:
    """`terascope/teraslice#3595`, `fluxcd/source-controller#901`: the same, and it is packed."""
    most = lists.max_bytes(1)
    assert len(parse_list(gzip.compress(b"W1,I1\n" + b"\n" * (most - 6)), "list", 1)) == 1
    with pytest.raises(ListError, match=f"more than {most:,} bytes when unpacked"):
        parse_list(gzip.compress(b"W1,I1\n" + b"\n" * most), "list", 1)
    with pytest.raises(ListError, match=f"more than {most:,} bytes"):
        parse_list(gzip.compress(b"#\n") + gzip.compress(b"\n" * 64 * 2**20), "list", 1)


def test_a_list_has_a_limit_of_volumes() -> None:
    assert len(parse_list(b"W,I1\n#\nW,I2\n", "list", 2)) == 2
    with pytest.raises(ListError, match="line 4: more than 2 volumes; split the list"):
        parse_list(b"W,I1\n#\nW,I2\nW,I3\n", "list", 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"wId": ' + "[" * 20_000, "line 1: a value within a value, too deep"),
        ('{"wId": "W1", "iId": "I1"}\n' + "[" * 200_000, "line 2: longer than 65,536 bytes"),
        ("W1,I1\n" + "x" * 200_000 + "\nW2,I2\n", "line 2: longer than 65,536 bytes"),
        (f"{'x' * MAX_LINE}y,I1\n", "line 1: longer"),
    ],
)
def test_what_is_too_deep_or_too_long_is_told(text: str, said: str) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: among others, a line of 200,000 `[`."""
    for data in (text.encode(), gzip.compress(text.encode())):
        with pytest.raises(ListError, match=f"^list.*{said}"):
            parse_list(data, "list")


def test_zeros_may_follow_the_members_of_a_gzip() -> None:
    data = gzip.compress(b"W1,I1\n") + bytes(100) + gzip.compress(b"W2,I2\n") + bytes(512)
    assert parse_list(data, "list") == TWO
    with pytest.raises(ListError, match="cannot be unpacked"):
        parse_list(data + b"more", "list")


@pytest.mark.parametrize(
    "text",
    [
        '"AKIAIOSFODNN7EXAMPLE"\n',
        '{"wId": {"key": "AKIAIOSFODNN7EXAMPLE"}, "iId": "x"}\n',
        '["AKIAIOSFODNN7EXAMPLE"]\n',
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n",
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n",
        '{"AccessKey": "AKIAIOSFODNN7EXAMPLE"}\n',
        f'{{"{"x" * 99}AKIAIOSFODNN7EXAMPLE": 1}}\n',
        "-----BEGIN KEY-----\nAKIAIOSFODNN7EXAMPLE\n",
    ],
)
@pytest.mark.parametrize("name", ["list", "list.jsonl"])
def test_nothing_is_said_of_what_is_no_list(text: str, name: str) -> None:
    with pytest.raises(ListError) as raised:
        parse_list(text.encode(), name)
    assert "AKIA" not in str(raised.value)


def test_what_is_no_list_is_told_before_the_rest_has_come() -> None:
    def endless(begin: bytes) -> Iterator[bytes]:
        yield begin
        for _ in range(10):
            yield bytes(2**20)
        pytest.fail("far too much was read")

    for begin in (b"PK\x03\x04", b"yes\n", b"folder/" + bytes(90), b"x" * 2**17, b'"'):
        with pytest.raises(ListError):
            lists.parse_list(endless(begin), "list")


def test_hashes_that_are_alike_are_no_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "hash", lambda _: 7, raising=False)
    assert parse_list(b"W1,I1\nW2,I2\n", "list") == TWO
    with pytest.raises(ListError, match="line 4: the volume W1/I1 stands in line 1 already"):
        parse_list(b"W1,I1\nW2,I2\n\nW1,I1\n", "list")


MEASURE = """
import sys
from bec_operator.sources.lists import parse_list

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

def chunks(total):
    for start in range(0, total, 10_000):
        numbers = range(start, start + 10_000)
        yield "".join(f"W{n:07}KG,I{n:07}KG,{n:06x}\\n" for n in numbers).encode()

before = peak()
print(len(parse_list(chunks(1_000_000), "list")), peak() - before)
"""


def test_a_million_volumes_take_less_than_100_mb() -> None:
    """`terascope/teraslice#3595`, `fluxcd/source-controller#901`: 25 MB were 450 MB of memory."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True
    )
    total, megabytes = map(int, done.stdout.split())
    assert total == 1_000_000
    assert megabytes < 100


@given(st.binary(max_size=200))
def test_any_bytes_are_volumes_or_a_list_error(data: bytes) -> None:
    try:
        volumes = parse_list(data, "list")
    except ListError:
        return
    assert volumes


ids = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9).filter(
    lambda text: unseen(Volume(text, text)) is None
)


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
