"""The example: real OCR over real page images, twice."""

import logging

import yaml

from bec_operator.api.job import JobSpec
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.store import Store
from examples import deploy
from examples.demo import MANIFEST
from examples.ocr.accuracy import MAX_ERROR_RATE, read_pages
from examples.ocr.make_pages import BOOKS
from tests.cluster import Cluster
from tests.support.jobs import LiveJob, counts
from tests.support.kube import Kube
from tests.support.waiting import until

log = logging.getLogger(__name__)

NAMESPACE, NAME = "bec", "ocr"


def test_ocr_of_all_volumes_then_nothing_left_to_do(cluster: Cluster, demo_store: Store) -> None:
    spec = JobSpec.model_validate(yaml.safe_load(MANIFEST.read_text())["spec"])
    job = LiveJob(Kube(cluster.kubeconfig), NAMESPACE, NAME)

    deploy.apply_anew(cluster, MANIFEST)
    assert counts(job.wait_complete(300)) == {"total": len(BOOKS), "succeeded": len(BOOKS)}
    template = OutputTemplate.parse(spec.output.prefix)
    for book in BOOKS:
        prefix = template.prefix(NAME, book.volume)
        for page in read_pages(demo_store, spec.output.bucket, prefix, book):
            log.info("%s %s: error rate %.3f", book.volume, page.number, page.error_rate)
            assert page.error_rate < MAX_ERROR_RATE

    deploy.apply_anew(cluster, MANIFEST)
    assert counts(job.wait_complete(60)) == {
        "total": len(BOOKS),
        "succeeded": len(BOOKS),
        "alreadyDone": len(BOOKS),
    }
    # Those of the first Job go after it; any of the second would stay.
    until(
        lambda: cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "name") == "",
        "there are no pods",
        timeout=60,
    )
