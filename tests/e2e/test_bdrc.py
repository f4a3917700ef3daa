"""The example over an archive: a queue, a pool from zero, OCR, results in SQL and in a queue."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest
import yaml

from bec_operator.act.ground.api_server import bec
from bec_ops.contract.volume import Volume
from examples.bdrc.archive import ARCHIVE, GROUPS, put_folder, upload
from examples.bdrc.folders import folder_of
from examples.demo_sql import MANIFEST, QUESTIONS
from tests.cluster import Cluster
from tests.e2e.conftest import HEARTBEAT_SECONDS
from tests.e2e.library import Library, library_in
from tests.e2e.site import Site
from tests.support.jobs import LiveJob, condition
from tests.support.kube import Body
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

log = logging.getLogger(__name__)

LONG = Volume("W0EX6", "I9010")
LONG_PAGES = 300  # minutes, if nobody takes pages away
SHORT = [group.volume for group in GROUPS[-3:]]
PROGRESS = "SELECT name, phase, percent, total, running, succeeded FROM bec_operator.progress"
UNDER_WAY = (
    "SELECT w_id, i_id, i_version, state, pod, heartbeat, progress_done, progress_total, percent "
    "FROM bec_operator.under_way"
)
WORKING = "SELECT pod, node, in_pool, heartbeat, w_id, i_id FROM bec_operator.working"
RESULTS = (
    "SELECT w_id, i_id, i_version, outcome, items, errors, number, state, output "
    "FROM bec_operator.results JOIN bec_operator.attempts USING (result_id) ORDER BY w_id"
)


@pytest.fixture(scope="module")
def library(cluster: Cluster) -> Iterator[Library]:
    settings = f"--set=worker.heartbeatSeconds={HEARTBEAT_SECONDS}"
    with library_in(cluster, ARCHIVE, settings) as library:
        upload(library.archive, ARCHIVE)
        pages = [page.png() for page in GROUPS[-2].book.pages()]
        put_folder(library.archive, ARCHIVE, LONG, islice(cycle(pages), LONG_PAGES))
        yield library


def begin(site: Site, todo: str, done: str) -> LiveJob:
    """Apply the example's Job over a queue, which tells another one as well."""
    described: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    spec = described["spec"]
    versions = spec["volumes"]["versions"]
    spec["volumes"] = {"queue": {"connection": "queues", "url": todo}, "versions": versions}
    spec["results"]["queue"] = {"connection": "queues", "url": done}
    spec["output"]["bucket"] = site.bucket
    described["metadata"]["namespace"] = site.namespace
    site.kube.create(bec(site.namespace, "jobs"), described)
    return LiveJob(site.kube, site.namespace, described["metadata"]["name"])


def waits_for_messages(found: Body) -> bool:
    return "WaitingForMessages" in condition(found, "Ready")["reason"]


def test_from_a_queue_to_rows_in_sql(site: Site, library: Library) -> None:
    """What SQL says while volumes are read is what kubectl says, and nobody works in the end."""
    todo, done = library.sqs.make_queue("todo"), library.sqs.make_queue("done")
    pool, live = WarmPool(site.kube, site.namespace), begin(site, todo, done)
    live.wait(waits_for_messages, "it waits for messages", 60)
    assert not pool.pods()

    for volume in [LONG, *SHORT]:
        library.send(todo, volume)
    live.wait_counts(120, succeeded=3, running=1)
    see_in_sql(site, library, live)
    take_pages_away(library)
    live.wait_counts(60, succeeded=4)
    until(pool.is_at_zero, "no worker is left", 60)
    live.wait(waits_for_messages, "it waits for more messages", 30)
    assert library.waiting(todo) == 0
    see_results(site, library, done)
    assert [len(library.rows(question.query)) for question in QUESTIONS] == [1, 0, 1, len(SHORT)]


def see_in_sql(site: Site, library: Library, live: LiveJob) -> None:
    """See that the views have what kubectl has: what is done, what runs and how far, who works."""

    def has_all() -> bool:
        succeeded = [row["succeeded"] for row in library.rows(PROGRESS)]
        far = [row["percent"] for row in library.rows(UNDER_WAY)]
        return succeeded == ["3"] and len(far) == 1 and far[0] != ""

    def running() -> list[Body]:
        # A task that has just been made has no status yet.
        told = ((task, task.get("status", {})) for task in site.tasks())
        return [t for t, says in told if says.get("phase") == "Running" and says.get("progress")]

    until(running, "kubectl knows how far it is", 60)
    until(has_all, "SQL knows what runs", 60)
    for query in (PROGRESS, UNDER_WAY, WORKING):
        log.info("%s", library.shown(query))
    (told,), (under_way,) = library.rows(PROGRESS), library.rows(UNDER_WAY)
    status = live.read()["status"]
    assert f"{told['percent']}%" == status["percent"] == "75%"
    assert told["phase"] == status["phase"] == "Running"
    assert int(told["total"]) == status["counts"]["total"] == 4
    assert int(told["running"]) == status["counts"]["running"] == 1

    (task,) = running()
    (attempt,) = task["status"]["attempts"]
    assert (under_way["w_id"], under_way["i_id"]) == (LONG.w_id, LONG.i_id)
    assert under_way["i_version"] == task["spec"]["volume"]["iVersion"]
    assert under_way["pod"] == attempt["pod"]
    now, _, rest = task["status"]["progress"].partition("/")
    assert rest == f"{under_way['progress_total']} pages" == f"{LONG_PAGES} pages"
    # Both are some seconds old, the one at most half a minute, the other at most a tenth of all.
    assert abs(int(under_way["progress_done"]) - int(now)) < LONG_PAGES / 2
    heard = datetime.fromisoformat(f"{under_way['heartbeat']}:00")
    assert timedelta(seconds=-5) < datetime.now(UTC) - heard < timedelta(minutes=1)
    working = {row["pod"]: row["i_id"] for row in library.rows(WORKING)}
    assert working[attempt["pod"]] == LONG.i_id


def take_pages_away(library: Library) -> None:
    """Take away images that `dimensions.json` lists: those that are still to be read."""
    for key in list(library.archive.list_keys(ARCHIVE, folder_of(LONG)))[::-1]:
        if key.endswith(".png"):
            library.archive.delete(ARCHIVE, key)


def see_results(site: Site, library: Library, done: str) -> None:
    """See that each volume has a row and a message, with the version that the archive has."""
    ended = "SELECT count(*) AS n FROM bec_operator.results WHERE outcome = 'succeeded'"
    until(lambda: library.rows(ended) == [{"n": "4"}], "all results are there", 60)
    log.info("%s\n%s", library.shown(RESULTS), library.shown(PROGRESS))
    found = {(row["w_id"], row["i_id"]): row for row in library.rows(RESULTS)}
    assert found.keys() == {(volume.w_id, volume.i_id) for volume in [LONG, *SHORT]}
    told: dict[str, Body] = {}
    until(lambda: len(told.update(library.take(done)) or told) >= 4, "all messages are there", 60)
    for volume in [LONG, *SHORT]:
        row = found[volume.w_id, volume.i_id]
        etag = library.archive.etag(ARCHIVE, f"{folder_of(volume)}dimensions.json") or ""
        assert row["i_version"] == etag[:6]
        assert (row["state"], row["number"]) == ("succeeded", "1")
        subject = f"{volume.w_id}/{volume.i_id}/{row['i_version']}"
        assert told[subject]["type"] == "org.bdrc.bec.volume.succeeded"
        assert told[subject]["data"]["output"] == row["output"]
    assert not library.rows(UNDER_WAY)
    long = found[LONG.w_id, LONG.i_id]
    read = list(site.store.list_keys(site.bucket, long["output"].split("/", 3)[3]))
    pages = [key for key in read if key.endswith(".txt")]
    assert int(long["items"]) == LONG_PAGES
    assert 0 < int(long["errors"]) == LONG_PAGES - len(pages)
