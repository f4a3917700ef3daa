"""Sites go with their volumes, and are no part of what these are."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import (
    MOST_SITES,
    NO_SITES,
    SitedVolume,
    VolumeSites,
    noted,
    site_of,
    sites_of,
)
from bec_ops.contract.volume import Volume

listed = st.lists(st.sampled_from(["", "cern", "desk", "nikhef"]), max_size=80)


def volumes(sites: list[str], begin: int = 0) -> list[Volume]:
    return [SitedVolume.at(Volume("W1", f"I{n}"), site) for n, site in enumerate(sites, begin)]


def test_a_volume_is_the_same_wherever_it_is_done() -> None:
    plain = Volume("W1", "I1")
    here, there = SitedVolume.at(plain, "cern"), SitedVolume.at(plain, "desk")
    assert plain == here == there
    assert len({plain, here, there}) == 1
    assert str(here) == "W1/I1"
    assert site_of(here._replace(i_version="v2")) == "cern"
    assert type(SitedVolume.at(plain, "")) is Volume
    assert site_of(next(iter({here: 1, there: 2}))) == "cern", "the first counts"


@given(listed, listed)
def test_lists_keep_them(one: list[str], two: list[str]) -> None:
    first = VolumeList.of(volumes(one))
    longer = first.extended(volumes(two, len(one)))
    assert [site_of(volume) for volume in longer] == one + two
    assert [longer.sites[index] for index in range(len(longer))] == one + two
    both = first.extended(VolumeList.of(volumes(two, len(one))))
    assert both.sites == longer.sites == sites_of(list(longer))
    assert dict(zip(both.sites.names, both.sites.counts, strict=True)) == {
        name: (one + two).count(name) for name in {*one, *two} - {""}
    }
    assert [site_of(volume) for volume in first] == one, "the shorter list is as it was"
    versioned = longer.versioned(dict.fromkeys(range(len(longer)), "v"))
    assert [site_of(volume) for volume in versioned] == one + two


def test_those_that_are_too_many_have_none() -> None:
    many = [f"s{n}" for n in range(MOST_SITES)]
    full = noted(many)
    more = full.extended(MOST_SITES, noted(["other", "s3"]))
    assert (more[MOST_SITES], more[MOST_SITES + 1]) == ("", "s3")
    assert [more[n] for n in range(MOST_SITES)] == many
    assert noted([*many, "other", "s3"]).codes == more.codes
    assert more.code_of("other") == 0


def test_each_takes_a_byte() -> None:
    tracemalloc.start()
    sites = noted(("cern", "")[n % 2] for n in range(200_000))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert sites.counts == (100_000,)
    assert size < 300_000
    assert NO_SITES == VolumeSites() == noted([""] * 5)
