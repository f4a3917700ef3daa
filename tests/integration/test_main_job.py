"""The main job: volumes from each source, to Complete, with all that people read on the way."""

import base64
import gzip
import re

import pytest

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.support.behaviours import hang, succeed
from tests.support.jobs import condition, config_map, counts, is_true, job, manifest, numbered
from tests.support.kube import Body
from tests.support.space import Space
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

HOSTILE = [
    Volume("W-1", "I/2", "../.."),
    Volume("..", ".", ""),
    Volume("A-B", "C", ""),
    Volume("A", "B-C", ""),
    Volume("པོད", "གླེགས བམ", "v 1"),
    Volume("$(HOME)", "{i_id}", '"; rm -rf'),
    Volume("UPPER_case.dots", "-lead", "trail-"),
    Volume("x" * 128, "y" * 128, "z" * 128),
]
LEGAL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def test_inline_volumes(space: Space, workers: Workers) -> None:
    live = space.submit(job("inline", space.bucket, numbered(7), parallelism=3))

    found = live.wait_complete()

    assert counts(found) == {"total": 7, "succeeded": 7}
    assert found["status"]["done"] == "7/7"
    assert found["status"]["percent"] == "100%"
    assert found["status"]["observedGeneration"] == 1
    assert found["status"]["startTime"] <= found["status"]["completionTime"]
    assert condition(found, "Complete")["reason"] == "Completed"
    assert is_true(found, "Ready")
    assert not is_true(found, "Stalled")
    assert not is_true(found, "Reconciling")
    assert not is_true(found, "Failed")
    workers.runs.check_each_ran_once(7)
    markers = [key for key in space.stored("artefacts/inline/") if key.endswith(MARKER_NAME)]
    assert markers == [f"artefacts/inline/W1-I{n}-v1/success.json" for n in range(7)]


TWO_COLUMNS = "# two columns\nW1,I1\nW1,I2\n\nW2,I1\n"
PACKED = base64.b64encode(gzip.compress(TWO_COLUMNS.encode())).decode()


@pytest.mark.parametrize(
    "content",
    [{"data": {"list.csv": TWO_COLUMNS}}, {"binaryData": {"list.csv": PACKED}}],
    ids=["text", "gzipped"],
)
def test_a_list_in_a_config_map(space: Space, workers: Workers, content: Body) -> None:
    space.put_config_map("list", **content)
    live = space.submit(job("from-map", space.bucket, config_map("list", "list.csv")))

    found = live.wait_complete()

    assert counts(found) == {"total": 3, "succeeded": 3}
    ran = {run.pod.task.volume for run in workers.runs.all()}
    assert ran == {Volume("W1", "I1"), Volume("W1", "I2"), Volume("W2", "I1")}


CSV = b"w_id,i_id,source,i_version\nW1,I1,bdr,a\nW1,I2,bdr,b\nW2,I3,,c\n"
JSONL = b"""
{"wId": "bdr:W1", "iId": "I1", "iVersion": "a"}
{"wId": "bdr:W1", "iId": "I2", "iVersion": "b"}
{"wId": "W2", "iId": "I3", "iVersion": "c"}
"""


LISTS = {
    "list.csv": CSV,
    "list.csv.gz": gzip.compress(CSV),
    "list.jsonl": JSONL,
    "list.jsonl.gz": gzip.compress(JSONL),
}


@pytest.mark.parametrize("key", LISTS)
def test_a_list_in_s3(space: Space, workers: Workers, key: str) -> None:
    space.put(f"lists/{key}", LISTS[key])
    live = space.submit(job("listed", space.bucket, manifest(space.bucket, f"lists/{key}")))

    found = live.wait_complete()

    assert counts(found) == {"total": 3, "succeeded": 3}
    ran = [run.pod.task.volume for run in workers.runs.all()]
    expected = [Volume("bdr:W1", "I1", "a"), Volume("bdr:W1", "I2", "b"), Volume("W2", "I3", "c")]
    assert sorted(ran) == sorted(expected)
    assert space.frozen("listed") == expected


def test_hostile_ids_get_legal_names_and_places_of_their_own(
    space: Space, workers: Workers
) -> None:
    live = space.submit(job("hostile", space.bucket, HOSTILE))

    found = live.wait_complete()

    assert counts(found) == {"total": len(HOSTILE), "succeeded": len(HOSTILE)}
    workers.runs.check_each_ran_once(len(HOSTILE))
    assert {run.pod.task.volume for run in workers.runs.all()} == set(HOSTILE)
    names = [task["metadata"]["name"] for task in space.tasks()]
    assert len(set(names)) == len(HOSTILE)
    for name in names:
        assert len(name) <= 52
        assert LEGAL_NAME.fullmatch(name)
    template = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")
    markers = {template.prefix("hostile", volume) + MARKER_NAME for volume in HOSTILE}
    assert markers <= set(space.stored())
    assert len(markers) == len(HOSTILE)


def test_what_the_job_works_on_is_frozen_in_the_order_of_its_list(
    space: Space, workers: Workers
) -> None:
    space.put("list.csv", b"W1,I2\nW1,I1\n")
    live = space.submit(job("frozen", space.bucket, manifest(space.bucket, "list.csv")))

    found = live.wait_complete()

    assert space.frozen("frozen") == [Volume("W1", "I2"), Volume("W1", "I1")]
    ledger = space.ledger("frozen")
    assert ledger is not None
    assert ledger["data"]["total"] == "2"
    owner = ledger["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("Job", found["metadata"]["uid"])
    workers.runs.check_each_ran_once(2)


def test_a_second_job_of_the_same_id_starts_nothing(space: Space, workers: Workers) -> None:
    volumes = numbered(6)
    first = space.submit(job("first", space.bucket, volumes[:5], jobId="same"))
    first.wait_complete()
    first.delete()

    workers.behaviour = hang
    second = space.submit(job("second", space.bucket, volumes[:5], jobId="same"))
    found = second.wait_complete()

    assert counts(found) == {"total": 5, "succeeded": 5, "alreadyDone": 5}
    assert len(workers.runs.all()) == 5

    third = space.submit(job("third", space.bucket, volumes, jobId="same"))
    workers.release()
    found = third.wait_complete()
    assert counts(found) == {"total": 6, "succeeded": 6, "alreadyDone": 5}
    assert len(workers.runs.all()) == 6


def test_the_same_name_again_is_a_job_of_its_own(space: Space, workers: Workers) -> None:
    """The old Job's tasks, pods and ledger are on their way out when the new one comes."""
    first = space.submit(job("again", space.bucket, numbered(3)))
    old = first.wait_complete()["metadata"]["uid"]
    first.delete()

    second = space.submit(job("again", space.bucket, numbered(4)))
    found = second.wait_complete(timeout=60)

    assert found["metadata"]["uid"] != old
    assert counts(found) == {"total": 4, "succeeded": 4, "alreadyDone": 3}
    assert len(workers.runs.all()) == 4


def test_the_window_is_never_exceeded(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("window", space.bucket, numbered(9), parallelism=4))
    workers.running(4)

    live.wait_counts(running=4, waiting=5)
    assert len(workers.runs.all()) == 4

    for run in workers.running(4)[:2]:
        workers.play(run, succeed)
    live.wait_counts(running=4, waiting=3, succeeded=2)
    assert len(workers.alive()) == 4

    live.patch(parallelism=6)
    workers.running(6)
    live.wait_counts(running=6, waiting=1, succeeded=2)
    workers.release()
    assert counts(live.wait_complete()) == {"total": 9, "succeeded": 9}
