"""Versions that are looked for: in which order, how many at once, and what gives no answer."""

from collections.abc import Iterator

from bec_operator.api.job import JobSpec
from bec_operator.decide.lists.versions import find_versions, tell_of_versions
from bec_operator.decide.memory.marker_findings import note_swept
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import note_doubles, note_no_version, note_version
from bec_operator.decide.neighbours.conflicts import compare
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Fact, JobSeen, Rival
from bec_operator.decide.volumes.actions import FindVersions, Sweep
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.version_search import AGAIN_AT_MOST, FIRST, MOST
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from tests.support.jobs import job

NOW = 1000.0
AWAY = Fact(NOW, "StorageUnavailable", "S3 does not answer")


def remembered(count: int) -> Memory:
    versions = {"etag": {"uri": "s3://archive/{w_id}/{i_id}"}}
    source = {"manifest": {"uri": "s3://lists/all.csv"}, "versions": versions}
    spec = JobSpec.model_validate(job("ocr", "bucket", source)["spec"])
    memory = Memory(JobSeen("texts", "ocr", "uid", 1, 1, created="", spec=spec))
    volumes = VolumeList.of([Volume("W1", f"I{number}") for number in range(count)])
    prefixes = Prefixes(OutputTemplate.parse(spec.output.prefix), "ocr", volumes)
    memory.load(volumes, prefixes, Ledger.fresh("sha", count), NOW, volumes.unversioned())
    return memory


def next_look(memory: Memory, now: float = NOW) -> FindVersions | None:
    found: Iterator[object] = find_versions(memory, now)
    look = next(found, None)
    assert look is None or isinstance(look, FindVersions)
    return look


def answer(memory: Memory, look: FindVersions, *silent: int) -> None:
    """Let all versions of a look be found, but some of which nobody tells."""
    for index in set(look.indices) - set(silent):
        note_version(memory, index, f"v{index}")
    last = 0 if look.over else look.indices[-1] + 1
    memory.books.versions.note_looked(AWAY if silent else None, last)


def store(memory: Memory) -> None:
    """Let the versions that are found stand in the manifest, and their volumes be startable."""
    versions = dict(memory.books.versions.found)
    volumes = VolumeList.of(memory.books.volumes).versioned(versions)
    prefixes = memory.books.prefixes
    assert isinstance(prefixes, Prefixes)
    memory.note_versioned(versions, volumes, prefixes.of(volumes))
    for index in versions:
        memory.books.frontier[index] = VolumeState.STARTABLE


def test_few_are_looked_for_first_and_then_ever_more() -> None:
    memory, sizes, seen = remembered(5000), list[int](), list[int]()
    while (look := next_look(memory)) is not None:
        sizes.append(len(look.indices))
        seen += look.indices
        answer(memory, look)
        if len(sizes) == 1:
            assert next_look(memory) is None, "nothing could start: what is found is stored first"
            store(memory)
    assert seen == list(range(5000)), "in manifest order, each once"
    assert sizes[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert max(sizes) <= MOST


def test_what_gives_no_answer_hides_nothing_and_is_asked_again_later() -> None:
    memory = remembered(200)
    while (look := next_look(memory)) is not None:
        answer(memory, look, *(i for i in look.indices if i < 100))
        if memory.books.versions.found:
            store(memory)
    assert sum(bool(volume.i_version) for volume in memory.books.volumes) == 100
    assert memory.books.versions.trouble == AWAY
    assert tell_of_versions(memory) == "the versions of 100 volumes still to be found"

    again = next_look(memory, NOW + AGAIN_AT_MOST)
    assert again is not None
    assert again.indices == tuple(range(100))
    answer(memory, again)
    assert memory.books.versions.trouble is None
    assert next_look(memory, NOW + AGAIN_AT_MOST) is None
    assert tell_of_versions(memory) == ""


def test_as_many_as_are_asked_about_at_once_without_an_answer_are_no_endless_round() -> None:
    memory = remembered(FIRST)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, *look.indices)
    assert next_look(memory) is None
    assert next_look(memory, NOW + AGAIN_AT_MOST) is not None


def test_one_without_a_version_fails_with_a_line_in_the_report() -> None:
    memory = remembered(2)
    look = next_look(memory)
    assert look is not None
    note_version(memory, 0, "v0")
    note_no_version(memory, 1, "there is no object")
    ledger = memory.ledger
    assert ledger is not None
    assert ledger.classes(Outcome.FAILED) == {FailureClass.VERSION_MISSING: 1}
    assert memory.books.report.unsaved[1].message == "there is no object"


def test_a_stored_version_is_the_volumes_and_its_output_is_looked_at() -> None:
    memory = remembered(40)
    memory.books.markers.swept = 40
    look = next_look(memory)
    assert look is not None
    answer(memory, look)
    versions = {index: f"v{index}" for index in (33, 35)}
    volumes = VolumeList.of(memory.books.volumes).versioned(versions)
    prefixes = memory.books.prefixes
    assert isinstance(prefixes, Prefixes)

    memory.note_versioned(versions, volumes, prefixes.of(volumes))

    assert memory.books.volumes[33] == Volume("W1", "I33", "v33")
    assert memory.books.volumes[34] == Volume("W1", "I34")
    assert memory.books.prefixes[35] == "artefacts/ocr/W1-I35-v35/"
    states = [memory.books.frontier[index] for index in (33, 34, 35)]
    assert states == [VolumeState.UNCHECKED, VolumeState.UNVERSIONED, VolumeState.UNCHECKED]
    assert memory.books.markers.swept == 33
    assert set(memory.books.versions.found) == set(range(40)) - {33, 35}


def test_other_versions_of_a_list_are_at_their_places_and_nothing_else_moves() -> None:
    whole = [Volume("W1", f"I{number}", f"v{number % 3}" * (number % 2)) for number in range(100)]
    listed = VolumeList.of(whole)
    assert listed.unversioned() == [n for n in range(100) if not whole[n].i_version]
    for some in (
        {},
        {0: "a"},
        {31: "b", 32: "c"},
        {99: "d", 0: "é"},
        dict.fromkeys(range(100), "x"),
    ):
        expected = [v._replace(i_version=some.get(n, v.i_version)) for n, v in enumerate(whole)]
        made = listed.versioned(some)
        assert list(made) == expected
        assert made == VolumeList.of(expected)


def test_a_sweep_that_did_not_know_the_versions_makes_nothing_startable() -> None:
    memory = remembered(40)
    memory.under_way.begin(Sweep())
    look = next_look(memory)
    assert look is not None
    answer(memory, look)
    versions = dict(memory.books.versions.found)
    volumes = VolumeList.of(memory.books.volumes).versioned(versions)
    prefixes = memory.books.prefixes
    assert isinstance(prefixes, Prefixes)
    memory.note_versioned(versions, volumes, prefixes.of(volumes))

    note_swept(memory, frozenset(), 40, NOW)  # it had looked for folders without a version

    assert memory.books.frontier.count(VolumeState.UNCHECKED) == 40, "each marker is read"
    assert memory.books.frontier.count(VolumeState.STARTABLE) == 0


def test_a_volume_that_the_list_has_twice_is_skipped_the_one_time() -> None:
    memory = remembered(3)
    look = next_look(memory)
    assert look is not None
    answer(memory, look)
    note_doubles(memory, [1])
    ledger = memory.ledger
    assert ledger is not None
    assert ledger.classes(Outcome.SKIPPED) == {FailureClass.DOUBLE: 1}
    assert 1 not in memory.books.versions.found


def test_other_jobs_at_the_same_place_conflict_whatever_the_versions() -> None:
    found, sought = remembered(3), remembered(3)
    prefixes = found.books.prefixes
    assert isinstance(prefixes, Prefixes)
    volumes = VolumeList.of(found.books.volumes).versioned({1: "abc"})
    theirs = Rival("other", "texts/other", prefixes.of(volumes), 3, versions=True)
    fact = compare(sought.books.prefixes, "bucket", [theirs], NOW)
    assert fact.reason == "OutputConflict"
