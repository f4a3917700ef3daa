"""Lists that were joined of several: each volume is read as it was meant, or a line is named."""

import gzip
import itertools
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources import lists
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.volume import Volume

MARK = "\ufeff"
TWO = [Volume("W1", "I1"), Volume("W2", "I2")]


def parse(data: bytes, name: str = "list", size: int = 7) -> VolumeList:
    """Read a list that comes in chunks of some size."""
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    return lists.parse_list(chunks, name)


@pytest.mark.parametrize(
    "parts",
    [
        ("\ufeffw_id,i_id\r\nW1,I1\r\n", "\ufeffw_id,i_id\r\nW2,I2\r\n"),
        ("\ufeffW1,I1\r\n", "\ufeffW2,I2\r\n"),
        ("w_id,i_id\nW1,I1\n", "w_id,i_id\nW2,I2\n"),
        ("wId,iId\nW1,I1\n", "w_id,i_id\nW2,I2\n"),
        ('\ufeff"w_id","i_id"\n"W1","I1"\n', '\ufeff"w_id","i_id"\n"W2","I2"\n'),
        ("w_id,i_id\nW1,I1\n", "\n\n", "i_id,w_id\nI2,W2\n"),
        ("w_id,i_id,i_version\nW1,I1,\n", "\ufeff# of today\n\nw_id,i_id\nW2,I2\n"),
        ("W1,I1\n", "I_ID,w_id\nI2,W2\n"),
        ("W1,I1,\n", "w-id,i id\nW2,I2\n"),
        ("w_id,i_id\n", "w_id,i_id\nW1,I1\n", "\ufeffw_id,i_id\n", "\ufeffW2,I2\n", "\ufeff\n"),
        ("\ufeff\ufeffW1,I1\n", "\ufeff\ufeffW2,I2\n"),
        ('\ufeff{"wId": "W1", "iId": "I1"}\r\n', '\ufeff{"wId": "W2", "iId": "I2"}\r\n'),
    ],
)
def test_parts_whose_reading_is_clear(parts: tuple[str, ...]) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: joined exports kept mark and header of each.

    The real second volume was never done, and others that nobody has were.
    """
    assert parse("".join(parts).encode()) == TWO
    assert parse(gzip.compress("".join(parts).encode())) == TWO
    assert parse(b"".join(gzip.compress(part.encode()) for part in parts)) == TWO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("i_id,w_id\nI1,W1\n\ufeffW2,I2\n", "line 3: a byte order mark: here begins another file"),
        ("W1,I1\n\ufeffW2,I2,v1\n", "line 2: a byte order mark: .* put a header line there"),
        ("W1,I1\nW2,I2,v1\n", r"line 2: 3 column\(s\); expected w_id,i_id as before"),
        ("w_id,i_id\nW1,I1\nw_id,i_id,v\nW2,I2\n", "line 3: the header has the column 'v'"),
        ("W1,I1\nW2,I2w_id,i_id\nW3,I3\n", "line 2: 'i_id' is the name of a column"),
        ("W1,I1w_id,i_id\n", "line 1: 'i_id' is the name of a column"),
        ("W1,I1\ufeffW2,I2\n", "line 1: i_id: .*a byte order mark, as where a file without an end"),
        ('w_id,i_id\nW1,I1\n{"wId": "W2", "iId": "I2"}\n', "line 3: "),
        ("w_id,i_id\nW1,I1\n{'wId': 'W2', 'iId': 'I2'}\n", "line 3: this looks like JSON"),
        ('{"wId": "W1", "iId": "I1"}{"wId": "W2", "iId": "I2"}\n', "line 1: Extra data at char"),
        ('{"wId": "W1", "iId": "I1"}\nw_id,i_id\nW2,I2\n', "line 2: .*; expected {"),
        ('[\n{"wId": "W1", "iId": "I1"},\n', "line 1: .*no brackets stand around the lines"),
    ],
)
def test_parts_whose_reading_is_not_clear_are_refused(text: str, said: str) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: by the line where the next one was joined."""
    for data in (text.encode(), gzip.compress(text.encode())):
        with pytest.raises(ListError, match=f"^list, {said}"):
            parse(data)


@dataclass(frozen=True)
class Part:
    """One export: its columns, and how it was written."""

    columns: tuple[str, ...]
    header: bool
    mark: bool
    end: str
    is_ended: bool
    blank_lines: int
    rows: int


LAYOUTS = (("w_id", "i_id"), ("w_id", "i_id", "i_version"), ("w_id", "i_id", "source", "i_version"))
part_with_header = st.builds(
    Part,
    columns=st.sampled_from(LAYOUTS).flatmap(st.permutations).map(tuple),
    header=st.just(True),
    mark=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    is_ended=st.booleans(),
    blank_lines=st.integers(0, 2),
    rows=st.integers(0, 3),
)
part = part_with_header | st.builds(
    replace,
    part_with_header,
    header=st.just(False),
    columns=st.sampled_from(LAYOUTS),
)


def unambiguous(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts as nobody could mistake them for one list of another meaning.

    What has no header and no mark of its own belongs to the list before it, and lines that run
    into each other with neither between them are a line.
    """
    before: Part | None = None
    for here, after in itertools.zip_longest(parts, parts[1:]):
        mark = here.mark or (
            not here.header
            and before is not None
            and len(before.columns) == len(here.columns)
            and before.columns != here.columns
        )
        is_ended = here.is_ended or (after is not None and not after.header and not after.mark)
        before = replace(here, mark=mark, is_ended=is_ended)
        yield before


def written(part: Part, numbers: Iterator[int]) -> tuple[str, list[Volume]]:
    """Return a part as text, and the volumes that are meant."""
    volumes, lines = [], [",".join(part.columns)] if part.header else []
    for number in itertools.islice(numbers, part.rows):
        row = dict.fromkeys(part.columns, "") | {"w_id": f"W{number}", "i_id": f"I{number}"}
        if "i_version" in row:
            row["i_version"] = f"v{number}" if number % 3 else ""
        lines.append(",".join(row[column] for column in part.columns))
        volumes.append(Volume(row["w_id"], row["i_id"], row.get("i_version", "")))
    text = part.end.join([*lines, *[""] * (part.blank_lines + 1)])
    return MARK * part.mark + (text if part.is_ended else part.end.join(lines)), volumes


@given(st.lists(part, min_size=1, max_size=5), st.booleans(), st.integers(1, 40))
def test_a_joined_list_has_exactly_its_volumes_or_a_line_that_is_wrong(
    drawn: list[Part], packed: bool, size: int
) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: never a volume that nobody has."""
    parts, numbers = list(unambiguous(drawn)), itertools.count(1)
    made = [written(part, numbers) for part in parts]
    pieces = [text.encode() for text, _ in made]
    meant = [volume for _, volumes in made for volume in volumes]
    data = b"".join(map(gzip.compress, pieces) if packed else pieces)
    try:
        read, fault = parse(data, size=size), ""
    except ListError as error:
        read, fault = VolumeList.of([]), str(error)
    if fault:
        assert "list, line " in fault or not meant
        assert not meant or not all(part.header and part.is_ended for part in parts), fault
    else:
        assert read == meant


PIECES = [
    *("W1", "I1", "W2", "I2", ",", ",", ",", "\n", "\n", "\r\n", " ", "\t", "#", '"', "{", "}"),
    *(MARK, "\u200b", "\u200c", "\u202e", "\u2028", "\u00ad", "\u00a0", "\ufffd", "\x07", "\x85"),
    *("w_id", "i_id", "wId", '"wId"', '"iId"', "null", ":", "ཀ", "\u0915\u094d", "\u06cc"),
]
JSON_IDS = st.text(st.sampled_from("".join(PIECES)), max_size=6)


def is_seen(volume: Volume) -> bool:
    """Whether a person sees all of a volume's ids, and nothing but the joiners of a script."""
    return all(
        text == text.strip()
        and all(
            c in "\u200c\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Zl", "Zp"}
            for c in text
        )
        and not text.startswith(("\u200c", "\u200d"))
        for text in volume
    )


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_volume_has_what_nobody_sees(pieces: list[str]) -> None:
    try:
        volumes = parse("".join(pieces).encode())
    except ListError:
        return
    assert all(map(is_seen, volumes))
    assert not {"w_id", "i_id", "wId", "null"} & {text for volume in volumes for text in volume}


@given(st.lists(st.tuples(JSON_IDS, JSON_IDS), min_size=1, max_size=3))
def test_no_volume_of_json_lines_has_what_nobody_sees(rows: list[tuple[str, str]]) -> None:
    text = "\n".join(json.dumps({"wId": w_id, "iId": i_id}) for w_id, i_id in rows)
    try:
        volumes = parse(text.encode(), "list.jsonl")
    except ListError:
        return
    assert all(map(is_seen, volumes))
