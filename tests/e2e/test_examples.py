"""The small examples over the pages of the OCR example: a shell script, and a loop of its own."""

import hashlib
import json
from pathlib import Path

import yaml

from bec_operator.api.job import JobSpec
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from examples.ocr.worker import images_prefix
from tests.cluster import Cluster
from tests.cluster.images import CHECKOUT
from tests.support.jobs import LiveJob, counts
from tests.support.kube import Kube

EXAMPLES = CHECKOUT / "examples"


class Example:
    """The Job of an example after it was applied, and what it wrote."""

    def __init__(self, cluster: Cluster, store: Store, folder: str, *apply: str) -> None:
        described = yaml.safe_load((EXAMPLES / folder / "job.yaml").read_text())
        self._spec = JobSpec.model_validate(described["spec"])
        self._name = described["metadata"]["name"]
        namespace = described["metadata"]["namespace"]
        self._store = store
        cluster.kubectl("apply", *apply)
        job = LiveJob(Kube(cluster.kubeconfig), namespace, self._name)
        self.counts = counts(job.wait_complete(180))

    @property
    def volumes(self) -> list[Volume]:
        return [Volume(i.w_id, i.i_id, i.i_version) for i in self._spec.volumes.items or []]

    @property
    def bucket(self) -> str:
        return self._spec.output.bucket

    def read(self, volume: Volume, name: str) -> bytes:
        """Return an artefact of a volume; empty if there is none."""
        prefix = OutputTemplate.parse(self._spec.output.prefix).prefix(self._name, volume)
        return self._store.get(self.bucket, prefix + name) or b""

    def images(self, volume: Volume) -> dict[str, bytes]:
        """Return the page images of a volume by their keys."""
        keys = self._store.list_keys(self.bucket, images_prefix(volume))
        return {key: self._store.get(self.bucket, key) or b"" for key in keys}


def test_a_shell_script(cluster: Cluster, demo_store: Store) -> None:
    example = Example(cluster, demo_store, "shell", "-f", str(EXAMPLES / "shell/job.yaml"))
    assert example.counts == {"total": 3, "succeeded": 3}
    for volume in example.volumes:
        listed = example.read(volume, "pages.tsv").decode().splitlines()
        images = example.images(volume)
        assert listed == [
            f"{Path(key).name}\t{len(image)}\t{hashlib.sha256(image).hexdigest()}"
            for key, image in images.items()
        ]
        marker = json.loads(example.read(volume, "success.json"))
        assert marker["total_images"] == len(images) > 0
        assert b"bec-progress" in example.read(volume, marker["log"])


def test_a_worker_with_a_loop_of_its_own(cluster: Cluster, demo_store: Store) -> None:
    example = Example(cluster, demo_store, "functions", "-k", str(EXAMPLES / "functions"))
    assert example.counts == {"total": 3, "succeeded": 3}
    for volume in example.volumes:
        sizes = json.loads(example.read(volume, "sizes.json"))
        assert sizes.keys() == example.images(volume).keys()
        assert all(size["width"] > size["height"] > 100 for size in sizes.values())
