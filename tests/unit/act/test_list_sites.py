"""The sites of a list that is read again, and of messages that come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.volumes.growth import difference, new_pairs
from bec_operator.act.volumes.list_sites import check_number, count_moved
from bec_operator.act.volumes.messages import _Taken
from bec_operator.api.job import JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import MOST_SITES, SitedVolume, site_of
from bec_operator.sources.volumes import SourceError
from bec_ops.contract.volume import Volume

sited = st.dictionaries(st.integers(0, 60), st.sampled_from(["", "cern", "desk"]), max_size=60)


def volumes(sites: dict[int, str]) -> VolumeList:
    return VolumeList.of([SitedVolume.at(Volume("W1", f"I{n}"), at) for n, at in sites.items()])


@given(sited, sited, st.booleans())
def test_what_is_new_comes_with_its_site_and_what_is_known_keeps_it(
    known: dict[int, str], listed: dict[int, str], alike: bool
) -> None:
    listed = {**known, **listed} if alike else listed
    one, two = volumes(known), volumes(listed)
    new = {n: site for n, site in listed.items() if n not in known}
    for differ in (difference, new_pairs):
        added, _ = differ(one, two)
        assert [site_of(volume) for volume in added] == list(new.values())
        longer = one.extended(added)
        assert [site_of(volume) for volume in longer] == [*known.values(), *new.values()]
    moved = [n for n, site in known.items() if n in listed and listed[n] != site]
    assert count_moved(one, two) == len(moved)


def test_a_list_brings_no_more_sites_than_there_may_be() -> None:
    most = volumes({n: f"s{n}" for n in range(MOST_SITES)})
    check_number(most, volumes({1000: "s1", 1001: ""}))
    with pytest.raises(SourceError, match="there would be more than 250 different sites; put"):
        check_number(most, volumes({1000: "other"}))


def message(number: int, **said: str) -> Message:
    body = json.dumps({"w_id": "W1", "i_id": f"I{number}", **said})
    return Message(f"m{number}", f"r{number}", body, {}, 1)


def test_a_message_may_name_a_site_that_the_job_names() -> None:
    base = {
        "volumes": {"queue": {"connection": "q", "url": "https://sqs/q"}},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "outside": {"allowed": True},
    }
    sites = {"of": [{"name": "desk", "outside": True}]}
    sent = [message(0, site="desk"), message(1, site="lyon"), message(2), message(3, site="a b")]
    taken = {}
    for name, more in (("with", {"sites": sites}), ("without", {})):
        spec = JobSpec.model_validate({**base, **more})
        memory = Memory(JobSeen("ns", "ocr", "uid", 1, 1, "2026", spec))
        taken[name] = _Taken()
        taken[name].sort(memory, sent, 0.0)

    assert [site_of(volume) for volume in taken["with"].volumes] == ["desk", "", ""]
    assert taken["with"].unknown == {Volume("W1", "I1"): "lyon"}
    ((_, why),) = taken["with"].refused.values()
    assert why.startswith("site: 'a b' is no name of a site")
    assert [site_of(volume) for volume in taken["without"].volumes] == [""] * 4
    assert not taken["without"].unknown
    assert not taken["without"].refused
