"""New versions of volumes that have one: when a look is due, how it goes on, when it is over."""

from collections.abc import Iterator, Sequence

import pytest

from bec_operator.api.job import JobPhase, JobSpec
from bec_operator.decide.jobs.ended_job import stays_ended
from bec_operator.decide.lists.followed import AHEAD, follow_versions, tell_of_followed
from bec_operator.decide.lists.growth import is_list_done, is_list_quiet, is_look_due
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import finish_look, note_followed
from bec_operator.decide.sight.seen import Fact, JobSeen, ListSeen
from bec_operator.decide.volumes.actions import FindVersions, FollowVersions
from bec_operator.decide.volumes.followed_versions import AGAIN_AT_MOST, MOST, PATIENCE
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from tests.support.jobs import job

NOW = 1_000_000.0
DAY = 24 * 3600.0
AWAY = Fact(NOW, "StorageUnavailable", "S3 does not answer")
RUNNING = (str(JobPhase.RUNNING), "5 of 5 volumes done")


def spec_of(follow: str | None, **more: object) -> JobSpec:
    versions = {"etag": {"uri": "s3://archive/{w_id}/{i_id}"}, "follow": follow}
    source = {"manifest": {"uri": "s3://lists/all.csv"}, "versions": versions}
    return JobSpec.model_validate(job("ocr", "bucket", source, **more)["spec"])


def done(count: int, followed: float = NOW - DAY, follow: str | None = "24h") -> Memory:
    """Return a job of so many volumes, all done, whose versions were last looked for then."""
    spec = spec_of(follow)
    memory = Memory(JobSeen("texts", "ocr", "uid", 1, 1, created="", spec=spec))
    volumes = VolumeList.of([Volume("W1", f"I{number}", "v1") for number in range(count)])
    prefixes = Prefixes(OutputTemplate.parse(spec.output.prefix), "ocr", volumes)
    ledger = Ledger("sha", bytearray([Outcome.SUCCEEDED]) * count)
    ledger.followed = ledger.followed_stored = followed
    memory.load(volumes, prefixes, ledger, NOW)
    return memory


def ledger_of(memory: Memory) -> Ledger:
    assert memory.ledger is not None
    return memory.ledger


def next_look(memory: Memory, now: float = NOW) -> FollowVersions | None:
    found: Iterator[object] = follow_versions(memory, now)
    look = next(found, None)
    assert look is None or isinstance(look, FollowVersions)
    return look


def answer(
    memory: Memory,
    look: FollowVersions,
    silent: Sequence[int] = (),
    new: Sequence[int] = (),
    now: float = NOW,
) -> None:
    """Let some of a look have a new version, and of some nobody tell."""
    followed = memory.books.followed
    if look.begins:
        followed.begin(now, len(memory.books.volumes))
    followed.found.update(dict.fromkeys(new, "v2"))
    followed.note_told(look.indices, silent, AWAY if silent else None)
    followed.go_on(look.upto, now, now)
    finish_look(memory)


def test_all_are_looked_at_once_when_it_is_time() -> None:
    memory, seen = done(2 * MOST + 7), list[int]()
    assert next_look(memory, NOW - 1) is None
    while (look := next_look(memory)) is not None:
        assert look.begins == (not seen)
        assert len(look.indices) <= MOST
        seen += look.indices
        answer(memory, look)
    assert seen == list(range(2 * MOST + 7))
    assert ledger_of(memory).followed == NOW
    assert not ledger_of(memory).saved, "the ledger is to have it"
    assert next_look(memory, NOW + DAY - 1) is None
    assert next_look(memory, NOW + DAY) is not None


@pytest.mark.parametrize(
    ("followed", "due"),
    [(0.0, True), (NOW - DAY + 1, False), (NOW + AHEAD, False), (NOW + AHEAD + 1, True)],
    ids=["never", "lately", "a little later", "by another clock"],
)
def test_when_it_is_due(followed: float, due: bool) -> None:
    assert (next_look(done(1, followed)) is not None) == due


def test_who_does_not_follow_is_suspended_or_has_nothing_does_not_look() -> None:
    memory = done(1, follow=None)
    assert next_look(memory) is None
    memory = done(0)
    assert next_look(memory) is None
    memory = done(1)
    memory.observe_job(
        JobSeen("texts", "ocr", "uid", 2, 2, created="", spec=spec_of("24h", suspend=True))
    )
    assert next_look(memory) is None


def test_first_versions_come_before_newer_ones() -> None:
    memory, first = done(1), FindVersions((0,), over=True)
    memory.under_way.begin(first)
    assert next_look(memory) is None
    memory.under_way.end(first)
    assert next_look(memory) is not None


def test_what_is_found_is_stored_before_the_look_is_over() -> None:
    memory = done(3)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, new=[1])
    assert ledger_of(memory).followed == NOW - DAY, "a crash now would look again"
    assert not is_list_quiet(memory)
    assert next_look(memory) is None

    note_followed(memory, {1: "v2"})

    assert not memory.books.followed.found
    assert ledger_of(memory).followed == NOW
    assert is_list_quiet(memory)


def test_a_version_that_has_changed_again_meanwhile_is_not_lost() -> None:
    memory = done(3)
    memory.books.followed.found[1] = "v3"
    note_followed(memory, {1: "v2"})
    assert memory.books.followed.found == {1: "v3"}


def test_no_more_is_found_than_may_wait_to_be_stored() -> None:
    memory = done(MOST + 1)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, new=look.indices)
    assert next_look(memory) is None
    note_followed(memory, dict(memory.books.followed.found))
    look = next_look(memory)
    assert look is not None
    assert list(look.indices) == [MOST]


def test_what_gives_no_answer_is_asked_again_and_the_look_is_not_over() -> None:
    memory = done(MOST + 5)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, silent=[3, 4])
    look = next_look(memory)
    assert look is not None
    assert look.indices[0] == MOST, "it hides nothing behind it"
    answer(memory, look)
    assert next_look(memory) is None, "not at once"
    assert memory.books.followed.trouble == AWAY

    look = next_look(memory, NOW + AGAIN_AT_MOST)
    assert look is not None
    assert list(look.indices) == [3, 4]
    answer(memory, look, silent=[4])
    assert ledger_of(memory).followed == NOW - DAY
    look = next_look(memory, NOW + AGAIN_AT_MOST)
    assert look is not None
    answer(memory, look)
    assert memory.books.followed.trouble is None
    assert ledger_of(memory).followed == NOW


def test_if_nobody_answers_no_more_are_asked_about() -> None:
    memory = done(3 * MOST)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, silent=look.indices)
    assert next_look(memory) is None
    look = next_look(memory, NOW + AGAIN_AT_MOST)
    assert look is not None
    assert list(look.indices) == list(range(MOST))


def test_a_look_is_over_at_last_and_goes_on_asking_about_what_is_silent() -> None:
    memory = done(5)
    look = next_look(memory)
    assert look is not None
    answer(memory, look, silent=[2])
    later = NOW + PATIENCE
    look = next_look(memory, later)
    assert look is not None
    answer(memory, look, silent=[2], now=later)
    assert ledger_of(memory).followed == later, "one volume makes no restart look at all again"
    look = next_look(memory, later + AGAIN_AT_MOST)
    assert look is not None
    assert not look.begins
    assert list(look.indices) == [2]


def test_a_job_that_follows_has_no_end() -> None:
    memory = done(1)
    settled = ListSeen(NOW, 1, settled=1)
    memory.books.note_list(settled, None)
    assert not is_list_done(memory)
    assert is_look_due(memory, NOW + 60, 60), "its list may grow all the same"
    memory = done(1, follow=None)
    memory.books.note_list(settled, None)
    assert is_list_done(memory)
    assert not is_look_due(memory, NOW + 60, 60)


def test_one_that_has_ended_goes_on_if_it_is_to_follow() -> None:
    for follow, stays in (("24h", False), (None, True)):
        memory = done(1, follow=follow)
        assert memory.job.status.observed_generation != memory.job.generation
        assert stays_ended(memory) == stays


def test_what_is_said() -> None:
    memory = done(5, followed=0.0)
    followed = memory.books.followed

    def told(verdict: tuple[str, str] = RUNNING) -> tuple[str, str]:
        return tell_of_followed(memory, JobPhase.RUNNING, verdict)

    followed.begin(NOW, 5)
    assert told() == (
        "WaitingForVersions",
        "5 of 5 volumes done; looks for new versions, 0 of 5 so far",
    )
    followed.note_missed(2)
    followed.go_on(5, NOW, NOW)
    finish_look(memory)
    waits = "5 of 5 volumes done; waits for new versions, the next look is at 1970-01-13T13:46:40Z"
    gone = "2 volumes have no version now; what was done stays"
    assert told() == ("WaitingForVersions", f"{waits}; {gone}")
    followed.note_left_out(3, "there is no room")
    reason, message = told()
    assert reason == "VersionsLeftOut"
    assert message.endswith("; 3 new versions are left out; the first: there is no room")
    assert told(("ListUnreadable", "it is gone"))[0] == "ListUnreadable"
    assert tell_of_followed(memory, JobPhase.SUSPENDED, RUNNING) == RUNNING
    nothing = tell_of_followed(done(0), JobPhase.RUNNING, ("WaitingForMessages", "none yet"))
    assert nothing == ("WaitingForMessages", "none yet"), "of which there is no next look"
    followed.begin(NOW + DAY, 5)
    assert "2 volumes have no version now" in told()[1], "until it is known anew"
