"""Volumes in little memory behave like a list of them."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.volumes.volume_list import LongParts, Prefixes, VolumeList, joined
from bec_ops.contract.location import OutputTemplate, TemplateError
from bec_ops.contract.volume import Volume

TEMPLATE = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
volume_lists = st.lists(st.builds(Volume, ids, ids, st.just("") | ids), max_size=100)


def many(total: int) -> list[Volume]:
    return [Volume(f"W{n:07}KG", f"I{n:07}", f"{n % 4096:06x}") for n in range(total)]


@given(volume_lists, volume_lists)
def test_it_is_a_sequence_like_any_other(first: list[Volume], more: list[Volume]) -> None:
    packed = VolumeList.of(first)
    longer = packed.extended(more)
    assert (len(packed), list(packed)) == (len(first), first)
    assert list(longer) == first + more
    assert longer == VolumeList.of(first + more) == first + more
    assert (longer == packed) is (more == [])
    assert [longer[index] for index in range(-len(longer), len(longer))] == (first + more) * 2
    assert longer[2:-1:3] == (first + more)[2:-1:3]
    assert [Volume(*row.decode().split("\x1f")) for row in longer.rows()] == first + more
    with pytest.raises(IndexError):
        longer[len(longer)]


def test_lists_tell_what_they_begin_with_in_common() -> None:
    one = VolumeList.of(many(100))
    two = one.extended(many(130)[100:])
    assert one.alike(two) == two.alike(one) == 3
    assert list(two.rows(after=3)) == list(two.rows())[96:]
    assert one != VolumeList.of(many(99))
    assert one != 7
    assert VolumeList.of(one) is one


def test_a_volume_takes_few_bytes() -> None:
    tracemalloc.start()
    packed = VolumeList.pack("\x1f".join(volume) for volume in many(100_000))
    longer = packed.extended(many(10))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(longer) == 100_010
    assert size < 45 * 100_000


def test_prefixes_are_those_of_the_template() -> None:
    volumes = [*many(40), Volume("..", "a/b"), Volume("ཀ", "I-1", "v")]
    prefixes = Prefixes(TEMPLATE, "ocr", VolumeList.of(volumes))
    expected = [TEMPLATE.prefix("ocr", volume) for volume in volumes]
    prefixes.check()
    assert list(prefixes) == expected
    assert [prefixes[index] for index in range(len(prefixes))] == expected
    assert prefixes[-2:] == expected[-2:]
    longer = joined(prefixes, Prefixes(TEMPLATE, "ocr", [Volume("W", "I")]))
    assert list(longer) == [*expected, "artefacts/ocr/W-I/"]


def test_a_volume_that_has_no_place_is_found() -> None:
    wide = Prefixes(TEMPLATE, "ocr", VolumeList.of([Volume("W", "I"), Volume("ཀ" * 128, "I")]))
    with pytest.raises(TemplateError, match="has room for 1000"):
        wide.check()


def test_plain_lists_are_joined_as_they_are() -> None:
    assert joined(["a"], ["b"]) == ["a", "b"]


PARTED = OutputTemplate.parse("འ/{job_id}/{w_id}/x{i_id}-{i_version}/")


@given(volume_lists, st.sampled_from([TEMPLATE, PARTED]), st.integers(10, 60))
def test_long_parts_are_those_between_two_slashes(
    volumes: list[Volume], template: OutputTemplate, limit: int
) -> None:
    prefixes = Prefixes(template, "ocr", volumes)
    sizes = [max(len(part.encode()) for part in prefix.split("/")) for prefix in prefixes]
    most = max(sizes, default=0)
    count = sum(size > limit for size in sizes)
    expected = LongParts(count, sizes.index(most), most) if count else None
    assert prefixes.long_parts(limit) == expected
