"""What stands in lists in the place of ids: unknown headers, what is unseen, what is garbled."""

import json
from typing import Any

import pytest

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.lists import parse_list
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.volume import Volume


def parse(text: str, name: str = "list") -> VolumeList:
    return parse_list([text.encode()], name)


def refused(text: str, said: str, name: str = "list") -> None:
    with pytest.raises(ListError, match=f"^{name}, {said}"):
        parse(text, name)


@pytest.mark.parametrize(
    ("header", "nearest"),
    [
        ("work,volume,version", "write w_id,i_id,i_version if that is meant"),
        ("# made today\nImage Group,work_id", "write i_id,w_id if that is meant"),
        ("W,I", "write w_id,i_id if that is meant"),
        ("WorkID,VolumeID,src,rev", "write w_id,i_id,source,i_version if that is meant"),
        ("w_id,volume", "write w_id,i_id if that is meant"),
        ("w_id,i_id,i_verison", "write w_id,i_id,i_version if that is meant"),
        ("w_id,i_id,version", "write w_id,i_id,i_version if that is meant"),
        ("w_id,i_id,w_id", "name two to five of them"),
        ("w_id,i_id,pages", "name two to five of them"),
        ("id,name", "name two to five of them"),
        ("work,volume,number of pages,status,date,path", "name two to five of them"),
    ],
)
def test_a_header_of_unknown_names_is_no_volume(header: str, nearest: str) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: `work,volume,version` was worked on."""
    line = header.count("\n") + 1
    said = rf"line {line}: .*header.*columns are w_id, i_id, source, i_version, site: {nearest}"
    rows = "W1,I1\n" * 2
    for text in (header, f"{header}\n{rows}", f"\ufeff{header}\r\n{rows}"):
        refused(text, said)
    refused(f"W1,I1\n{header}\n", rf"line {line + 1}: ")


@pytest.mark.parametrize(
    "header", ["wId,iId,iVersion", "W_ID,I_ID,I_VERSION", "w-id,i id,iVersion"]
)
def test_a_header_may_be_spelt_in_several_ways(header: str) -> None:
    """`whitfin/s3-concat#3`: `wId,iId,iVersion` was a volume, as JSON Lines has these names."""
    assert parse(f"{header}\nW1,I1,a\n") == [Volume("W1", "I1", "a")]


def test_a_first_line_without_any_digit_is_judged_by_the_second() -> None:
    refused("mandala,sadhana\nW1,I1\n", "line 1: this may be a header .* put a header above it")
    refused("#\nmandala,sadhana\n\nW1,I1\n", "line 2: this may be a header")
    volumes = [Volume("mandala", "sadhana"), Volume("W1", "I1")]
    assert parse("w_id,i_id\nmandala,sadhana\nW1,I1\n") == volumes
    assert parse("W1,I1\nw_id,i_id\nmandala,sadhana\n") == volumes[::-1]
    assert parse("mandala,sadhana\nW1,index\n") == [volumes[0], Volume("W1", "index")]
    assert parse("mandala,sadhana\n") == volumes[:1]
    assert parse("དཀར,ཆག\nW༡,I\n") == [Volume("དཀར", "ཆག"), Volume("W༡", "I")]


UNKNOWN = "this looks like a header, whose columns are unknown here"
NO_DIGIT = "this may be a header .*, as it has no digit, and the ids"
NUMBERED = "this may be a header .*, as it has only words of headings and numbers, and the ids"
SUM = "this counts the volumes, and is none; leave the line out"
RULER = "a ruler, as below a heading or above a sum; leave the line out"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w_id,i_id\nW1,I1\nWerk,Band\nW2,I2\n", f"line 3: {UNKNOWN}: .* write w_id,i_id if"),
        ("w_id,i_id\nW1,I1\nUpama,Pothi\nW2,I2\n", f"line 3: {NO_DIGIT} above have; .* put a he"),
        ("W1,I1\nRID,Bild\nW2,I2\n", f"line 2: {UNKNOWN}: 'RID', 'Bild'"),
        ("W1,I1\nUpama,Pothi\nW2,I2\n", f"line 2: {NO_DIGIT} above have; .* JSON Lines"),
        ("W1,I1\nUpama,Pothi\n", f"line 2: {NO_DIGIT} above"),
        ("W1,index\nUpama,Pothi\n", f"line 2: {NO_DIGIT} above"),
        ("W1,I1,\nUpama,Pothi,ed\n", f"line 2: {NO_DIGIT} above"),
        ("work1,vol1\nUpama,Pothi\n", f"line 2: {NO_DIGIT} above"),
        ("W1,I1\n\ufeffUpama,Pothi\nW2,I2\n", f"line 2: {NO_DIGIT} above"),
        ("mandala,a\n\ufeffUpama,Pothi\nW2,I2\n", f"line 2: {NO_DIGIT} below"),
        ("i_id,w_id\nI1,W1\nUpama,Pothi\n", f"line 3: {NO_DIGIT} above"),
        ("Column1,Column2\nW1,I1\n", f"line 1: {UNKNOWN}: 'Column1', 'Column2'; .* name two"),
        ("Column1,Column2\n", f"line 1: {UNKNOWN}"),
        ("W1,I1\nSpalte1,Spalte2\nW2,I2\n", f"line 2: {UNKNOWN}"),
        ("Unnamed: 0,Unnamed: 1\nW1,I1\n", f"line 1: {UNKNOWN}"),
        ("field_1,field_2,field_3\nW1,I1,a\n", f"line 1: {UNKNOWN}"),
        ("Work,Vol.1\nW1,I1\n", f"line 1: {NUMBERED} below have not; .* put a header above it"),
        ("Werk1,Band2\nW1,I1\n", f"line 1: {NUMBERED} below"),
        ("#\nWerk 1,Band 2\n\nW1,I1\n", f"line 2: {NUMBERED} below"),
        ("W1,I1\nW2,I2\nWerk1,Band2\nW3,I3\n", f"line 3: {NUMBERED} above"),
        ("W1,I1\ntotal,38836\n", f"line 2: {SUM}; if it is really an id, write the list as JSON"),
        ('W1,I1,\nGrand Total:,"38,836",\n', f"line 2: {SUM}"),
        ("w_id,i_id\nW1,I1\nW2,I2\nSum,2\n", f"line 4: {SUM}"),
        ("count,38836\n", f"line 1: {SUM}"),
        ("W1,I1\n---,---\n", f"line 2: {RULER}; if it is really an id, write the list as JSON"),
        ("w_id,i_id\n===,===\nW1,I1\n", f"line 2: {RULER}"),
        ("---,---\nW1,I1\n", f"line 1: {RULER}"),
        ("w_id,i_id\n:---,---:\nW1,I1\n", f"line 2: {RULER}"),
    ],
)
def test_what_stands_among_volumes_and_is_none(text: str, said: str) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: only a list's first line was doubted."""
    refused(text, said)


@pytest.mark.parametrize(
    "text",
    [
        "mandala,intro\nlamrim,chenmo\nW1,intro\nsadhana,index of 3\nkanjur,tenjur\n",
        "mandala,intro\nW1,intro\nW1,I1\nlamrim,chenmo\nW2,I2\n",
        "mandala,1\nmandala,2\nmandala,appendix\n",
        "w_id,i_id\nlamrim,chenmo\nW1,I1\nmandala,intro\n",
        "W1,index\nW1,intro\nlamrim,1\nlamrim,chenmo\n",
        "W1,I1\nw_id,i_id\nlamrim,chenmo\nmandala,intro\nW2,I2\n",
        "work1,vol1\nwork1,vol2\nW1,I1\nwork2,vol1\n",
        "work1,intro\nwork1,vol1\nwork1,appendix\n",
        "w_id,i_id\nwork1,vol1\nW1,I1\nwork1,vol2\n",
        "i_id,w_id\n1,mandala\n2,mandala\nappendix,mandala\n",
        "W1,I1\nMW12,vol3\nvol3,MW12\nid7,no7\ntotal1,38836\ntotal,I1\nW1,-\n",
        "column,I1\nW1,sum\n",
    ],
)
def test_lists_whose_ids_need_no_digit_or_are_like_headings(text: str) -> None:
    lines = [line for line in text.splitlines() if line not in ("w_id,i_id", "i_id,w_id")]
    assert [",".join(volume[:2]) for volume in parse(text)] == [
        ",".join(line.split(",")[:: -1 if text.startswith("i_id") else 1]) for line in lines
    ]


@pytest.mark.parametrize("row", ["Werk,Band", "Column1,Column2", "total,38836", "---,---"])
def test_json_lines_take_as_an_id_what_csv_doubts(row: str) -> None:
    w_id, i_id = row.split(",")
    text = json.dumps({"wId": "W1", "iId": "I1"}) + "\n" + json.dumps({"wId": w_id, "iId": i_id})
    assert parse(text) == [Volume("W1", "I1"), Volume(w_id, i_id)]


def test_what_may_be_a_header_is_not_repeated_as_it_may_be_a_secret() -> None:
    with pytest.raises(ListError) as raised:
        parse("admin,correcthorse\nuser1,battery2\n")
    assert "correct" not in str(raised.value)
    with pytest.raises(ListError) as raised:
        parse("user1,battery2\nadmin,correcthorse\n")
    assert "correct" not in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"w_id": "W1", "iId": "I1"}, "unknown key 'w_id', write wId if that is meant"),
        ({"wId": "W1", "volume": "I1"}, "unknown key 'volume', write iId if that is meant"),
        ({"wId": "W1", "iId": "I1", "iVerison": "a"}, "unknown key 'iVerison', write iVersion if"),
        ({"wId": "W1", "iId": "I1", "zzz": 1}, "unknown key 'zzz'; expected"),
        ({"wId": 7, "iId": "I1"}, "wId must be a string, not a number"),
        ({"wId": 1e3, "iId": "I1"}, "wId must be a string, not a number"),
        ({"wId": "W1", "iId": True}, "iId must be a string, not true or false"),
        ({"wId": "W1", "iId": None}, "iId must be a string, not null"),
        ({"wId": "W1", "iId": ["I1"]}, "iId must be a string, not a list"),
    ],
)
def test_keys_and_values_of_json_lines(keys: dict[str, Any], said: str) -> None:
    good = '{"wId": "W0", "iId": "I0"}\n'
    refused(good + json.dumps(keys), f"line 2: {said}")
    refused(json.dumps(keys), f"line 1: {said}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"wId": "W1", "wId": "W2", "iId": "I1"}', "the key 'wId' stands there twice"),
        ('{"wId": "W1", "iId": "I1", "iVersion": {"a": 1, "a": 2}}', "the key 'a' stands there"),
        (f'{{"wId": {"9" * 5000}, "iId": "I1"}}', "wId must be a string, not a number"),
        ('{"wId": 007, "iId": "I1"}', "Expecting ',' delimiter at character 10; expected"),
        ('{"wId": NaN, "iId": "I1"}', "wId must be a string, not a number"),
        ('{"wId": "W1", "iId": "I1"},', "Extra data at character 27"),
        ("{'wId': 'W1', 'iId': 'I1'}", "Expecting property name enclosed in double quotes"),
        ('{"wId": "W1", "iId": "I1', "Unterminated string starting at at character 22"),
        ('{"wId": "W1\\u0000", "iId": "I1"}', r"w_id: .*U\+0000"),
    ],
)
def test_json_lines_that_are_none(line: str, said: str) -> None:
    refused(line, f"line 1: {said}", "list.jsonl")
    refused(f'{{"wId": "W0", "iId": "I0"}}\n{line}\n', f"line 2: {said}")


UNSEEN = {
    "byte order mark": "\ufeff", "zero width space": "\u200b", "word joiner": "\u2060",
    "soft hyphen": "\u00ad", "left-to-right mark": "\u200e", "right-to-left override": "\u202e",
    "isolate": "\u2066", "Arabic letter mark": "\u061c", "tag": "\U000e0041",
    "Hangul filler": "\u3164", "line separator": "\u2028", "lost letter": "\ufffd",
    "no character": "\ufdd0", "swapped mark": "\ufffe", "joiner": "\u200d", "non-joiner": "\u200c",
}  # fmt: skip


@pytest.mark.parametrize("name", UNSEEN)
def test_what_nobody_sees_is_refused_in_every_form(name: str) -> None:
    """`whitfin/s3-concat#3`, `nf-core/scrnaseq#510`: such an id is another volume's."""
    char = UNSEEN[name]
    said = rf"line 2: i_id: the id holds .*U\+{ord(char):04X} as its character 2"
    refused(f"W1,I1\nW2,I{char}2\n", said)
    refused(f'W1,I1\nW2,"I{char}2"\n', said)
    for escaped in (True, False):
        row = json.dumps({"wId": "W2", "iId": f"I{char}2"}, ensure_ascii=escaped)
        refused(f'{{"wId": "W1", "iId": "I1"}}\n{row}', said)
    refused(f"W1,I1\nW{char}2,I2\n", said.replace("i_id", "w_id"))


@pytest.mark.parametrize(
    "word",
    [
        "\u0915\u094d\u200c\u0937",  # Devanagari: ka, virama, non-joiner, ssa
        "\u0d9a\u0dca\u200d\u0dbb",  # Sinhala: ka, virama, joiner, ra
        "\u09b0\u200d\u09cd\u09af",  # Bengali: ra, joiner, virama, ya
        "\u0d28\u0d4d\u200d",  # Malayalam: an older chillu n, at the end of a word
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: mi, non-joiner, khaham
        "\u0645\u064f\u200c\u062e",  # Persian with a vowel mark before the non-joiner
        "\u1820\u180e\u1820\u180b",  # Mongolian: a vowel separator and a variation selector
        "\u845b\U000e0100",  # Han with a variation selector
        "བོད་ཡིག།",
    ],
)
def test_what_scripts_need_for_their_spelling_stays(word: str) -> None:
    assert parse(f"W1,{word}1\n") == [Volume("W1", f"{word}1")]
    assert parse(json.dumps({"wId": "W1", "iId": word})) == [Volume("W1", word)]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\u2007"])
def test_blanks_around_an_id(blank: str) -> None:
    """In CSV they go, as spreadsheets put them there; in JSON somebody has quoted them."""
    assert parse(f"{blank}W1{blank},{blank}I1{blank}\n") == [Volume("W1", "I1")]
    assert parse(f"W1,I{blank}1\n") == [Volume("W1", f"I{blank}1")]
    said = rf"line 1: i_id: the id begins or ends with a blank \(U\+{ord(blank):04X}\); take it out"
    for value in (f"{blank}I1", f"I1{blank}"):
        refused(json.dumps({"wId": "W1", "iId": value}), said)


GARBLED = {
    "NULL": "stands for no value", "null": "stands for no value", "None": "stands for no value",
    "NaN": "stands for no value", "N/A": "stands for no value", "\\N": "stands for no value",
    "#N/A": "error of a spreadsheet", "#REF!": "error of a spreadsheet",
    "1.23457E+11": "a spreadsheet has shortened", "1,2E+05": "", "I_ID": "is the name of a column",
    "'I1'": "no double quotes", "\u201cI1\u201d": "no double quotes", "`I1`": "no double quotes",
    'I"1': "a double quote stands within", 'I1"': "a double quote stands within",
    '="I1"': "a double quote stands within", "{I1}": "looks like JSON", "[I1": "looks like JSON",
}  # fmt: skip


@pytest.mark.parametrize("text", GARBLED)
def test_what_programs_leave_in_the_place_of_an_id(text: str) -> None:
    refused(f"W1,{text}\n", f"line 1: .*{GARBLED[text]}")
    refused(f"W0,I0\nW1,{text}\n", f"line 2: .*{GARBLED[text]}")
    refused(f"w_id,i_id\n\n{text},I1\n", "line 3: ")
    id_ = text.strip("#'")
    assert parse(json.dumps({"wId": "W1", "iId": id_})) == [Volume("W1", id_)]


@pytest.mark.parametrize(
    "text",
    ["1e3", "007", "0x1F", "12345678901234567890", "E+1", "Nancy", "true", "-", "W1#2", "I'1"],
)
def test_odd_ids_that_are_ids(text: str) -> None:
    assert parse(f"W1,{text}\n") == [Volume("W1", text)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('W1,I1\n"W2,I2\nW3",I3\n', "line 2: unexpected end of data"),
        ('W1,I1\n"W2\n",I2\n', "line 2: unexpected end of data"),
        ("W1,I1\n,I2,bnf,v2\n", r"line 2: 4 column\(s\)"),
        (",I2,bnf,v2\n", "line 1: w_id: an id must not be empty"),
        ("source,w_id,i_id\nbnf,,I1\n", "line 2: w_id: an id must not be empty"),
        ("W1,I1\n#N/A,I2\n", "line 2: it begins with an error of a spreadsheet"),
        ("W1\tI1\nW2\tI2\n", r"line 1: 1 column\(s\)"),
        ("W1;I1\nW2;I2\n", r"line 1: 1 column\(s\)"),
        ("W1,I1\x1a\n", r"line 1: i_id: .*U\+001A"),
        ("W1,I1\rW2,I2\r", "line 1: "),
    ],
)
def test_other_lines_that_are_no_volume(text: str, said: str) -> None:
    refused(text, said)


def test_a_quote_that_is_doubled_is_part_of_an_id() -> None:
    assert parse('W1,"the ""red"" one"\n"W,2","I2"\n') == [
        Volume("W1", 'the "red" one'),
        Volume("W,2", "I2"),
    ]
