"""Line detection, and OCR that reads its lines: two Jobs, volume by volume."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from bec_operator.act.ground.api_server import bec
from bec_operator.api.base import DEFAULT_PREFIX
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from examples import deploy
from examples.ocr.accuracy import MAX_ERROR_RATE, read_pages
from examples.ocr.make_pages import BOOKS, Book
from examples.ocr.worker import images_prefix
from tests.cluster.images import CHECKOUT
from tests.e2e.site import Site
from tests.support.jobs import LiveJob, condition, counts, is_true, items
from tests.support.kube import Body

LINES, OCR = "line-detection", "ocr-by-lines"
MANIFESTS = {
    LINES: CHECKOUT / "examples/line_detection/job.yaml",
    OCR: CHECKOUT / "examples/ocr/job-by-lines.yaml",
}
PATIENCE = 240.0
TEMPLATE = OutputTemplate.parse(DEFAULT_PREFIX)
TORN = b"a page that was cut off on its way"


class Library:
    """Some volumes of the examples in a bucket of their own, and the two Jobs over them."""

    def __init__(self, site: Site, books: Sequence[Book]) -> None:
        self.books = books
        self.bucket = f"bec-{site.namespace}"
        self.store = deploy.open_store(site.cluster, self.bucket)
        self._site = site
        for book in books:
            self.put_pages(book)

    def put_pages(self, book: Book, *, torn: bool = False) -> None:
        """Write the page images of a volume, or what is none in their place."""
        for page in book.pages():
            key = f"{images_prefix(book.volume)}{page.number}.png"
            self.store.put(self.bucket, key, TORN if torn else page.png(), "image/png")

    def apply(self, name: str, **spec: Any) -> LiveJob:
        """Apply the Job of an example; keywords replace fields of its spec."""
        made: Body = yaml.safe_load(MANIFESTS[name].read_text())
        made["metadata"]["namespace"] = self._site.namespace
        volumes = items([book.volume for book in self.books])
        output = {**made["spec"]["output"], "bucket": self.bucket}
        made["spec"] |= {"volumes": volumes, "output": output, **spec}
        self._site.kube.create(bec(self._site.namespace, "jobs"), made)
        return LiveJob(self._site.kube, self._site.namespace, name)

    def done_at(self, job_id: str, volume: Volume) -> datetime:
        """Return when S3 got the marker of a job for a volume."""
        found = self.store.head(self.bucket, TEMPLATE.prefix(job_id, volume) + MARKER_NAME)
        assert found, f"no marker of {job_id} for {volume}"
        return found.last_modified

    def created_at(self, job: str) -> dict[Volume, datetime]:
        """Return when the tasks of a Job were made."""
        found = {}
        for task in self._site.tasks():
            if task["spec"]["job"] == job:
                ids = task["spec"]["volume"]
                volume = Volume(ids["wId"], ids["iId"], ids.get("iVersion", ""))
                made = task["metadata"]["creationTimestamp"]
                found[volume] = datetime.fromisoformat(made)
        return found

    def artefact(self, job_id: str, volume: Volume, name: str) -> Any:
        """Return an artefact that is JSON."""
        body = self.store.get(self.bucket, TEMPLATE.prefix(job_id, volume) + name)
        assert body, f"{job_id} has written no {name} for {volume}"
        return json.loads(body)

    def check_read(self, book: Book) -> None:
        """See that the lines of each page were found, and that they were read one by one."""
        summary = self.artefact(OCR, book.volume, "volume.json")
        read = {Path(page["image"]).stem: page["lines"] for page in summary["pages"]}
        for page in book.pages():
            lines = self.artefact(LINES, book.volume, f"{page.number}.json")["lines"]
            assert len(lines) == len(page.text.strip().splitlines()) == read[page.number]
        prefix = TEMPLATE.prefix(OCR, book.volume)
        for found in read_pages(self.store, self.bucket, prefix, book):
            assert found.error_rate < MAX_ERROR_RATE


def test_each_volume_is_read_once_its_own_lines_are_found(site: Site) -> None:
    library = Library(site, BOOKS)
    ocr = library.apply(OCR, parallelism=len(BOOKS))
    assert f"Job {LINES}" in ocr.wait_stalled("DependencyMissing", timeout=60)
    lines = library.apply(LINES, parallelism=1)
    for job in (lines, ocr):
        done = {"total": len(BOOKS), "succeeded": len(BOOKS)}
        assert counts(job.wait_complete(PATIENCE)) == done
    for book in library.books:
        library.check_read(book)

    created = library.created_at(OCR)
    found = sorted((library.done_at(LINES, book.volume), book.volume) for book in BOOKS)
    for (found_at, volume), (next_at, _) in pairwise(found):
        assert found_at <= created[volume] <= next_at, (volume, found, created)


def wait_in_vain(ocr: LiveJob) -> None:
    said = ocr.wait_stalled("DependencyFailed", timeout=PATIENCE)
    assert f"1 volume for Job {LINES}" in said
    found = ocr.wait_counts(total=3, succeeded=2, waiting=1)
    assert found["status"]["phase"] == "Running"


def skipped(ocr: LiveJob) -> None:
    found = ocr.wait_complete(PATIENCE)
    assert counts(found) == {"total": 3, "succeeded": 2, "skipped": 1}
    assert condition(found, "Complete")["reason"] == "Completed"


def failed(ocr: LiveJob) -> None:
    found = ocr.wait_complete(PATIENCE)
    assert counts(found) == {"total": 3, "succeeded": 2, "failed": 1}
    complete = condition(found, "Complete")
    assert complete["reason"] == "CompletedWithFailures"
    assert complete["message"].startswith("1 of 3 volumes failed")


@pytest.mark.parametrize(
    ("on_failure", "outcome"),
    [("Wait", wait_in_vain), ("Skip", skipped), ("Fail", failed)],
    ids=["wait", "skip", "fail"],
)
def test_a_volume_whose_lines_are_never_found(
    site: Site, on_failure: str, outcome: Callable[[LiveJob], None]
) -> None:
    good, torn = BOOKS[2:4], BOOKS[4]
    library = Library(site, [*good, torn])
    library.put_pages(torn, torn=True)
    waits_for = [{"job": LINES, "onFailure": on_failure}]
    ocr = library.apply(OCR, dependsOn=waits_for, maxFailed="100%")
    lines = library.apply(LINES, maxFailed="100%")
    found = lines.wait_complete(PATIENCE)
    assert counts(found) == {"total": 3, "succeeded": 2, "failed": 1}
    assert condition(found, "Complete")["reason"] == "CompletedWithFailures"
    outcome(ocr)
    assert library.created_at(OCR).keys() == {book.volume for book in good}

    library.put_pages(torn)
    for job in (lines, ocr):
        job.patch(retryFailedAt=datetime.now(UTC).isoformat())
    for job in (lines, ocr):
        found = job.wait_counts(PATIENCE, total=3, succeeded=3)
        assert counts(found) == {"total": 3, "succeeded": 3}
        assert is_true(job.wait_complete(), "Complete")
    for book in library.books:
        library.check_read(book)
