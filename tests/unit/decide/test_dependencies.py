"""Jobs that depend on each other: each volume starts after its own, and not after all of them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.api.job import JobPhase
from bec_operator.decide.neighbours.dependencies import find_cycle
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.farm import AWAY, Farm, spec

THREE = [Volume("W", f"I{n}", "v1") for n in range(3)]
OTHER_VERSION = [volume._replace(i_version="v2") for volume in THREE]
LDV1: dict[str, Any] = {"job": "ldv1"}
ARTEFACTS: dict[str, Any] = {"jobId": "ldv1", "output": {"bucket": "b"}}
S, F, K, W = Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED, Outcome.WAITING


def _farm(**specs: Any) -> Farm:
    """Return a farm of Jobs over the same three volumes, in the order of their making."""
    farm = Farm()
    for name, made in specs.items():
        farm.apply(name, THREE, made)
    farm.settle_down()
    return farm


def test_each_volume_starts_right_after_its_own() -> None:
    farm = _farm(ocr=spec(LDV1), ldv1=spec())
    assert farm.tasks["ldv1"].keys() == {0, 1, 2}
    assert not farm.tasks["ocr"]
    farm.finish("ldv1", 1)
    farm.look("ocr")  # one pass, and no look at S3
    assert farm.tasks["ocr"].keys() == {1}
    assert farm.count("SweepGate") == farm.count("LoadEnded") == 0


def test_what_waits_is_counted_and_said() -> None:
    farm = _farm(ldv1=spec(), ocr=spec(LDV1))
    farm.finish("ldv1", 0)
    farm.settle_down()
    counts = farm.jobs["ocr"].status.counts
    assert (counts.waiting, counts.queued + counts.running) == (2, 1)
    assert farm.jobs["ocr"].status.phase is JobPhase.RUNNING
    said = ("Running", "0 of 3 volumes done; 2 volumes wait for ldv1")
    assert farm.says("ocr", "Ready") == said


def test_what_waits_takes_no_place_in_the_window() -> None:
    farm = _farm(ldv1=spec(), ocr=spec(LDV1, parallelism=1))
    farm.finish("ldv1", 2)
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {2}


def test_what_is_done_needs_no_gate() -> None:
    farm = Farm(markers={("ocr", THREE[0])})
    farm.apply("ocr", THREE, spec(LDV1))
    farm.settle_down(6.0)
    assert farm.outcomes("ocr") == [S, W, W]
    assert farm.jobs["ocr"].status.counts.already_done == 1


def test_applied_in_the_wrong_order() -> None:
    farm = _farm(ocr=spec(LDV1))
    assert farm.says("ocr") == (
        "DependencyMissing",
        "Job ldv1 is not there; apply it, or name its artefacts with jobId and output",
    )
    farm.apply("ldv1", THREE, spec())
    farm.settle_down()
    assert farm.says("ocr") == ("", "")
    farm.finish("ldv1", 0)
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {0}


def test_another_version_of_a_volume_opens_nothing() -> None:
    farm = Farm()
    farm.apply("ldv1", THREE, spec())
    farm.apply("ocr", OTHER_VERSION, spec(LDV1))
    farm.settle_down()
    for index in range(3):
        farm.finish("ldv1", index)
    farm.settle_down(61.0)
    assert not farm.tasks["ocr"]


def test_a_volume_that_is_not_in_the_list_waits_for_its_marker() -> None:
    farm = Farm()
    farm.apply("ldv1", THREE[:1], spec())
    farm.apply("ocr", THREE, spec(LDV1))
    farm.settle_down()
    swept = farm.count("SweepGate")
    assert swept == 1
    farm.markers.add(("ldv1", THREE[2]))
    farm.settle_down()
    assert (farm.count("SweepGate"), len(farm.tasks["ocr"])) == (swept, 0)
    farm.settle_down(61.0)
    assert farm.tasks["ocr"].keys() == {2}


def test_lists_that_grow() -> None:
    """What is new here waits for what is new there, and what is open stays so."""
    more = Volume("W", "I9", "v1")
    farm = _farm(ldv1=spec(), ocr=spec(LDV1))
    farm.finish("ldv1", 0)
    farm.settle_down()
    farm.lengthen("ocr", more)
    farm.settle_down(61.0)
    assert farm.tasks["ocr"].keys() == {0}
    assert farm.jobs["ocr"].status.counts.waiting == 3
    farm.lengthen("ldv1", more)
    farm.settle_down(61.0)
    farm.finish("ldv1", 3)
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {0, 3}


def test_artefacts_only() -> None:
    farm = Farm(markers={("ldv1", THREE[1])})
    farm.apply("ocr", THREE, spec(ARTEFACTS))
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {1}
    farm.markers.add(("ldv1", THREE[0]))
    farm.settle_down(61.0)
    assert farm.tasks["ocr"].keys() == {0, 1}


def test_unknown_opens_nothing_and_is_said() -> None:
    farm = Farm()
    farm.apply("ocr", THREE, spec(ARTEFACTS))
    farm.settle_down()
    farm.markers.add(("ldv1", THREE[1]))
    farm.s3_away = True
    farm.settle_down(61.0)
    assert farm.says("ocr") == (AWAY, "dependsOn ldv1: s3://b is out of order")
    assert not farm.tasks["ocr"]
    farm.s3_away = False
    farm.settle_down(61.0)
    assert farm.says("ocr") == ("", "")
    assert farm.tasks["ocr"].keys() == {1}


def _ended(farm: Farm, *failed: int) -> None:
    for index in range(3):
        farm.finish("ldv1", index, well=index not in failed)
    farm.settle_down()
    assert farm.jobs["ldv1"].status.terminal


def test_ended_long_ago() -> None:
    """Its ledger is read once, however many depend on it, and let go when nobody does any more."""
    farm = _farm(ldv1=spec())
    _ended(farm, 1)
    farm.restart()
    for name in ("ocr", "layout"):
        farm.apply(name, THREE, spec({**LDV1, "onFailure": "Skip"}))
    farm.settle_down()
    assert farm.count("LoadEnded") == 1
    assert farm.count("SweepGate") == 0
    for name in ("ocr", "layout"):
        assert farm.tasks[name].keys() == {0, 2}
        for index in (0, 2):
            farm.finish(name, index)
    farm.settle_down()
    assert farm.outcomes("ocr") == farm.outcomes("layout") == [S, K, S]
    farm.settle_down()
    assert farm.memories["ldv1"].ends.outcomes is None


def test_what_cannot_be_read_of_an_ended_job_opens_and_fails_nothing() -> None:
    farm = _farm(ldv1=spec())
    _ended(farm, 1)
    farm.restart()
    farm.apply("ocr", THREE, spec({**LDV1, "onFailure": "Fail"}))
    farm.look("ldv1")
    for _ in range(4):
        farm.look("ocr")
    farm.s3_away = True
    farm.look("ldv1")
    farm.look("ocr")
    assert farm.says("ocr") == (AWAY, "s3://b is out of order")
    assert not farm.tasks["ocr"]
    farm.s3_away = False
    farm.settle_down(6.0)
    assert farm.says("ocr") == ("", "")
    assert farm.tasks["ocr"].keys() == {0, 2}


@pytest.mark.parametrize(
    ("on_failure", "outcome", "done"),
    [("Skip", K, "skipped"), ("Fail", F, "failed")],
)
def test_failed_for_good(on_failure: str, outcome: Outcome, done: str) -> None:
    farm = _farm(ldv1=spec(), ocr=spec({**LDV1, "onFailure": on_failure}))
    farm.finish("ldv1", 1, well=False)
    farm.settle_down(6.0)
    assert farm.outcomes("ocr") == [W, outcome, W]
    (line,) = farm.reports("ocr")
    assert line["index"] == 1
    assert line["class"] == "DependencyFailed"
    assert line["attempts"] == []
    assert line["message"] == (
        f"{done} without an attempt: Job ldv1, on which it depends, has failed for this volume"
    )


def test_wait_is_a_stall_when_nothing_else_is_left_and_heals() -> None:
    farm = _farm(ldv1=spec(), ocr=spec(LDV1))
    farm.finish("ldv1", 0)
    farm.finish("ldv1", 1, well=False)
    farm.settle_down()
    assert farm.says("ocr") == ("", "")
    farm.finish("ldv1", 2)
    farm.settle_down()
    assert farm.says("ocr") == ("", "")  # two of its own are to be done
    for index in (0, 2):
        farm.finish("ocr", index)
    farm.settle_down()
    reason, message = farm.says("ocr")
    assert reason == "DependencyFailed"
    assert "1 volume for Job ldv1" in message
    assert not farm.jobs["ocr"].status.terminal

    farm.edit("ldv1", spec(retryFailedAt=iso(farm.now)))
    farm.settle_down()
    assert farm.says("ocr") == ("", "")
    farm.finish("ldv1", 1)
    farm.settle_down()
    farm.finish("ocr", 1)
    farm.settle_down()
    assert farm.jobs["ocr"].status.phase is JobPhase.COMPLETE


def test_what_is_tried_again_has_not_failed() -> None:
    """Neither before the other job has heard of it, nor after."""
    farm = _farm(ldv1=spec())
    _ended(farm, 1)
    farm.edit("ldv1", spec(retryFailedAt=iso(farm.now)))
    farm.restart()
    farm.apply("ocr", THREE, spec({**LDV1, "onFailure": "Skip"}))
    farm.read_ended("ldv1")
    for _ in range(8):
        farm.look("ocr")
    assert farm.tasks["ocr"].keys() == {0, 2}
    farm.settle_down(6.0)
    assert farm.tasks["ldv1"].keys() == {1}
    assert farm.outcomes("ocr") == [W, W, W]


def test_what_is_done_again_opens_nothing_before() -> None:
    farm = _farm(ldv1=spec())
    _ended(farm)
    farm.edit("ldv1", spec(redoAt=iso(farm.now)))
    farm.restart()
    farm.apply("ocr", THREE, spec(LDV1))
    farm.read_ended("ldv1")
    for _ in range(8):
        farm.look("ocr")
    assert not farm.tasks["ocr"]


def test_a_job_that_has_failed_has_given_up_all_that_it_has_not_done() -> None:
    farm = _farm(ldv1=spec(maxFailed=0, parallelism=1), ocr=spec({**LDV1, "onFailure": "Skip"}))
    farm.finish("ldv1", 0)
    farm.settle_down()
    farm.finish("ldv1", 1, well=False)
    farm.settle_down(6.0)
    assert farm.jobs["ldv1"].status.phase is JobPhase.FAILED
    assert farm.outcomes("ldv1") == [S, F, W]
    assert farm.outcomes("ocr") == [W, K, K]
    assert farm.tasks["ocr"].keys() == {0}


def test_skipped_is_given_up_further_down_too() -> None:
    farm = _farm(
        ldv1=spec(),
        ocr=spec({**LDV1, "onFailure": "Skip"}),
        ner=spec({"job": "ocr", "onFailure": "Fail"}),
    )
    farm.finish("ldv1", 0, well=False)
    farm.settle_down(6.0)
    farm.settle_down(6.0)
    assert farm.outcomes("ner") == [F, W, W]


def test_fail_speaks_louder_than_skip() -> None:
    farm = _farm(
        ldv1=spec(),
        layout=spec(),
        ocr=spec({**LDV1, "onFailure": "Skip"}, {"job": "layout", "onFailure": "Fail"}),
    )
    farm.finish("ldv1", 0, well=False)
    farm.finish("layout", 0, well=False)
    farm.settle_down(6.0)
    assert farm.outcomes("ocr") == [F, W, W]
    assert "Job layout, on" in farm.reports("ocr")[0]["message"]


def test_a_diamond_waits_for_both_sides() -> None:
    farm = _farm(
        scan=spec(),
        left=spec({"job": "scan"}),
        right=spec({"job": "scan"}),
        ocr=spec({"job": "left"}, {"job": "right"}),
    )
    farm.finish("scan", 1)
    farm.settle_down()
    farm.finish("left", 1)
    farm.settle_down()
    assert not farm.tasks["ocr"]
    assert farm.says("ocr", "Ready")[1].endswith("; 2 volumes wait for left, 3 for right")
    farm.finish("right", 1)
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {1}


def test_a_circle_is_refused_and_heals() -> None:
    farm = _farm(ldv1=spec({"job": "ocr"}), ocr=spec(LDV1), ner=spec({"job": "ocr"}))
    for name, circle in (("ocr", "ocr → ldv1 → ocr"), ("ldv1", "ldv1 → ocr → ldv1")):
        reason, message = farm.says(name)
        assert reason == "DependencyCycle"
        assert circle in message
    assert farm.says("ner") == ("", "")  # it is not part of it
    assert not any(farm.tasks.values())
    farm.edit("ldv1", spec())
    farm.settle_down()
    assert farm.says("ocr") == farm.says("ldv1") == ("", "")
    assert farm.tasks["ldv1"].keys() == {0, 1, 2}


def test_what_it_depends_on_may_change_while_it_runs() -> None:
    farm = _farm(ldv1=spec(), ocr=spec(LDV1))
    farm.edit("ocr", spec())
    farm.settle_down()
    assert farm.tasks["ocr"].keys() == {0, 1, 2}
    farm = _farm(ldv1=spec(), ocr=spec(parallelism=1))
    farm.edit("ocr", spec(LDV1, parallelism=1))
    farm.settle_down()
    farm.finish("ocr", 0)
    farm.settle_down()
    assert not farm.tasks["ocr"]


def test_the_job_is_taken_away() -> None:
    farm = _farm(ldv1=spec(), ocr=spec(LDV1, parallelism=1))
    for index in range(3):
        farm.finish("ldv1", index)
    farm.look("ocr")
    farm.delete("ldv1")
    farm.settle_down()
    farm.finish("ocr", 0)
    farm.settle_down()
    assert farm.says("ocr")[0] == "DependencyMissing"
    assert not farm.tasks["ocr"]
    farm.edit("ocr", spec(ARTEFACTS))
    farm.settle_down()
    assert farm.tasks["ocr"]


NAMES = st.sampled_from("abcd")
NEEDS = st.dictionaries(NAMES, st.lists(NAMES, max_size=3))


@given(NEEDS, NAMES)
def test_circles(needs: dict[str, list[str]], start: str) -> None:
    found = find_cycle(start, needs)
    if found:
        assert found[0] == found[-1] == start
        assert len(set(found)) == len(found) - 1
        assert all(later in needs[name] for name, later in pairwise(found))
    else:
        reached, row = set[str](), [start]
        while row:
            new = set(needs.get(row.pop(), ())) - reached
            reached |= new
            row += new
        assert start not in reached
