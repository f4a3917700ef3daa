"""What a machine must have before work is taken."""

import logging
from pathlib import Path

import pytest

from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.outside import checks
from bec_ops.outside.checks import S3Check, missing
from bec_ops.outside.keys import Keys
from bec_ops.outside.pace import Pace


def keys(**values: object) -> Keys:
    return Keys.model_validate(values)


def test_disk_is_looked_for_where_the_scratch_folder_is_or_will_be(tmp_path: Path) -> None:
    there = tmp_path / "deep" / "scratch"
    assert missing(keys(scratch=there, min_disk="1KB")) == ""
    said = missing(keys(scratch=there, min_disk="900PiB"))
    assert said.endswith(f" are free in {tmp_path}, and min_disk is 900.0PiB")


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "meminfo"
    monkeypatch.setattr(checks, "_MEMORY", told)
    wanted = keys(min_memory="2GiB")
    assert missing(wanted) == "", "where the kernel tells nothing, nothing is missing"
    told.write_text("MemTotal: 9000000 kB\nMemAvailable:    1048576 kB\n")
    assert missing(wanted) == "1.0GiB of memory are free, and min_memory is 2.0GiB"
    told.write_text("MemAvailable:    4194304 kB\n")
    assert missing(wanted) == ""


class Buckets(Store):
    """A store of which the buckets in `away` cannot be reached."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked: list[str] = []

    def check_bucket(self, bucket: str, prefix: str = "") -> None:
        self.asked.append(f"{bucket}/{prefix}")
        if bucket in self.away:
            raise StoreError("Unavailable", f"{bucket} does not answer")


def test_what_could_not_be_reached_has_to_be_before_anything_else_begins() -> None:
    buckets = Buckets()
    check = S3Check("s3://mine/a/", lambda: buckets)
    assert check.missing() == ""
    assert check.reach("theirs", "b/") == ""
    buckets.away = {"other"}
    assert check.reach("other", "c/") == "other does not answer"
    assert check.missing() == "other does not answer"
    buckets.away = set()
    assert check.missing() == ""
    assert buckets.asked == ["mine/a/", "theirs/b/", "other/c/", "other/c/", "other/c/"]
    assert check.reach("other", "c/") == ""
    assert len(buckets.asked) == 5, "a good answer is remembered"


def test_whatever_keeps_the_store_from_being_opened_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    check = S3Check("s3://mine/a/")
    assert "The config profile (nosuch) could not be found" in check.missing()


def test_nothing_is_asked_where_nothing_is_configured() -> None:
    buckets = Buckets()
    assert S3Check("", lambda: buckets).missing() == ""
    assert buckets.asked == []


def test_pauses_grow_and_a_word_is_said_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace(logging.getLogger("of-a-test"))
    pauses = [pace.pause(f"away {number}") for number in range(9)]
    assert all(
        low <= pause <= 2 * low for low, pause in zip((1, 2, 4, 8, 16), pauses, strict=False)
    )
    assert all(30 <= pause <= 60 for pause in pauses[5:])
    assert len(set(pauses)) == len(pauses)
    assert caplog.messages == ["no task: away 0"]
    pace.reset()
    assert pace.pause("away again") <= 2
