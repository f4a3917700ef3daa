"""Brings operator and examples onto a local cluster: images, credentials, chart, input."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bec_ops.store import Store, StoreError
from tests.cluster import Cluster
from tests.cluster.images import CHECKOUT, archive, image_ref
from tests.support.space import s3_client

OPERATOR_NAMESPACE = "bec-system"
SECRET = "bec-s3"

_CHART = CHECKOUT / "helm" / "bec-operator"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def load_images(cluster: Cluster, names: Iterable[str], report: Callable[[str], None]) -> None:
    """Build images where needed, and load them."""
    for name in names:
        report(f"image {image_ref(name)}")
        cluster.load_image(archive(name), image_ref(name))


def add_namespace(cluster: Cluster, name: str) -> None:
    """Make a namespace with the strictest pod security, and the S3 credentials in it."""
    s3 = cluster.s3
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    namespace = {"name": name, "labels": _RESTRICTED}
    secret = {"name": SECRET, "namespace": name}
    for resource in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace},
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": keys},
    ):
        cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))


def install_operator(cluster: Cluster, *more: str) -> None:
    """Install the chart, or upgrade it, and wait until the operator is ready.

    `more` are further arguments of `helm upgrade`.
    """
    add_namespace(cluster, OPERATOR_NAMESPACE)
    repository, tag = image_ref("operator").rsplit(":", 1)
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "image.pullPolicy": "Never",
        "s3.endpoint": cluster.s3.endpoint_url,
        "s3.region": cluster.s3.region,
        "s3.credentialsSecret": SECRET,
        # The tag stays the same: this restarts the operator when its image is another.
        "podAnnotations.image": archive("operator").stem,
    }
    settings = (f"--set-string={name}={value}" for name, value in values.items())
    where = ("--namespace", OPERATOR_NAMESPACE)
    waiting = ("--wait", "--timeout=180s")
    cluster.helm(
        "upgrade", "--install", "bec-operator", str(_CHART), *where, *settings, *more, *waiting
    )


def open_store(cluster: Cluster, bucket: str) -> Store:
    """Return a client of the cluster's S3 in which `bucket` exists."""
    os.environ.update(cluster.s3.environment())
    store = Store()
    try:
        store.check_bucket(bucket)
    except StoreError as error:
        if error.reason != "BucketNotFound":
            raise
        s3_client(cluster.s3).create_bucket(Bucket=bucket)
    return store


def apply_anew(cluster: Cluster, manifest: Path) -> None:
    """Apply a manifest after deleting, with all that belongs to it, what it made before."""
    cluster.kubectl("delete", "-f", str(manifest), "--ignore-not-found", "--cascade=foreground")
    cluster.kubectl("apply", "-f", str(manifest))
