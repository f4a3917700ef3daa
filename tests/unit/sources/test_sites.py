"""The sites of volumes, in each form of a list, in rows, in messages, and in a Job itself."""

import json

import pytest

from bec_operator.api.volume_source import Item
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import MOST_SITES, site_of
from bec_operator.sources.lists import parse_list
from bec_operator.sources.messages import MessageError, read_message
from bec_operator.sources.query_rows import volumes_of_rows
from bec_operator.sources.text_lines import ListError
from bec_operator.sources.volumes import SourceError, _inline
from bec_ops.contract.volume import Volume

THREE = [Volume("W1", "I1"), Volume("W2", "I2"), Volume("W3", "I3")]
JSON = '{"wId":"W1","iId":"I1","site":"cern"}\n{"wId":"W2","iId":"I2"}\n{"wId":"W3","iId":"I3",'


def sites(volumes: VolumeList) -> list[str]:
    """Return the site of each volume, which must be the same however it is asked for."""
    found = [site_of(volume) for volume in volumes]
    assert found == [site_of(volumes[index]) for index in range(len(volumes))]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "w_id,i_id,site\nW1,I1,cern\nW2,I2,\nW3,I3,desk\n",
        "site,i_id,w_id\ncern,I1,W1\n,I2,W2\n desk ,I3,W3\n",
        "W_ID,I_ID,Site\nW1,I1,cern\nw_id,i_id\nW2,I2\nw_id,i_id,site,i_version\nW3,I3,desk,\n",
        f'{JSON}"site":"desk"}}',
        f'{JSON}"site":"desk","iVersion":null}}',
    ],
)
def test_lists_say_where(text: str) -> None:
    volumes = parse_list([text.encode()], "list")
    assert volumes == THREE
    assert sites(volumes) == ["cern", "", "desk"]
    assert volumes.sites.counts == (1, 1)


def test_a_list_without_sites_takes_no_byte_for_them() -> None:
    for text in ("W1,I1\n", "w_id,i_id,site\nW1,I1,\n", '{"wId":"W1","iId":"I1","site":""}'):
        volumes = parse_list([text.encode()], "list")
        assert (volumes.sites.codes, sites(volumes)) == (b"", [""])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w_id,i_id,site\nW1,I1,a b\n", "line 2: site: 'a b' is no name of a site; write"),
        ("w_id,i_id,site\nW1,I1,none\n", "line 2: 'none' stands for no value"),
        ("w_id,i_id,site\nW1,I1\n", r"line 2: 2 column\(s\); expected w_id,i_id,site as before"),
        ("w_id,i_id,site,site\nW1,I1,a,b\n", "line 1: the header has the column 'site' which"),
        ("work,volume,site\nW1,I1,a\n", "write w_id,i_id,site if that is meant"),
        ("site,title\nW1,I1\n", "line 1: this looks like a header"),
        ('{"wId":"W1","iId":"I1","site":7}', "line 1: site must be a string, not a number"),
        ('{"wId":"W1","iId":"I1","Site":"a"}', "line 1: unknown key 'Site'"),
        ("w_id,i_id,site\nW1,I1,a\nW1,I1,a\n", "line 3: the volume W1/I1 stands in line 2 already"),
        (
            "w_id,i_id,site\nW1,I1,a\nW1,I1,\n",
            "with the site a there and none here, and has one at most; write each volume once",
        ),
    ],
)
def test_faults_are_told_by_their_lines(text: str, said: str) -> None:
    with pytest.raises(ListError, match=said):
        parse_list([text.encode()], "list")


def test_there_are_not_very_many_sites() -> None:
    lines = [f"W{n},I{n},s{n}" for n in range(MOST_SITES + 1)]
    head = "w_id,i_id,site\n"
    kept = parse_list([(head + "\n".join(lines[:-1])).encode()], "list")
    assert sites(kept) == [f"s{n}" for n in range(MOST_SITES)]
    with pytest.raises(ListError, match="line 252: site: more than 250 different ones; is that"):
        parse_list([(head + "\n".join(lines)).encode()], "list")


def test_rows_say_where() -> None:
    columns, rows = ["site", "w_id", "I_ID"], [("cern", "W1", "I1"), (None, "W2", "I2")]
    volumes = volumes_of_rows(columns, iter(rows), "q", 10)
    assert volumes == THREE[:2]
    assert sites(volumes) == ["cern", ""]
    with pytest.raises(ListError, match="row 1: site: 'a/b' is no name of a site"):
        volumes_of_rows(columns, iter([("a/b", "W1", "I1")]), "q", 10)
    with pytest.raises(ListError, match=r"row 2: .* in row 1 already, with the site a there"):
        volumes_of_rows(columns, iter([("a", "W1", "I1"), ("b", "W1", "I1")]), "q", 10)


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ('{"w_id": "W1", "i_id": "I1", "site": "cern"}', {}),
        ('{"w_id": "W1", "i_id": "I1", "site": "desk"}', {"site": "cern"}),
        ("do it", {"w_id": "W1", "i_id": "I1", "site": "cern"}),
    ],
)
def test_messages_say_where_if_the_job_asks(body: str, attributes: dict[str, str]) -> None:
    assert site_of(read_message(body, attributes, sited=True)) == "cern"
    assert site_of(read_message(body, attributes)) == ""
    assert read_message(body, attributes) == read_message(body, attributes, sited=True)


def test_what_is_no_site_is_refused_only_where_it_is_asked_for() -> None:
    body = json.dumps({"w_id": "W1", "i_id": "I1", "site": {"url": "s3://x"}})
    assert read_message(body, {}) == THREE[0]
    with pytest.raises(MessageError, match="site must be a string, not an object"):
        read_message(body, {}, sited=True)
    with pytest.raises(MessageError, match="site: 's3://x' is no name of a site"):
        read_message("{}", {"w_id": "W1", "i_id": "I1", "site": "s3://x"}, sited=True)


def test_items_of_a_job_say_where() -> None:
    made = [Item(w_id="W1", i_id="I1", site="cern"), Item(w_id="W2", i_id="I2")]
    assert sites(_inline(made)) == ["cern", ""]
    with pytest.raises(SourceError, match=r"items\[1\]: the volume W1/I1 is items\[0\] already"):
        _inline([made[0], Item(w_id="W1", i_id="I1")])
