"""A place of a test's own: a namespace and a bucket, and what the test makes and reads there."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
from mypy_boto3_s3 import S3Client
from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

from bec_operator.act.ground.api_server import bec, core
from bec_operator.api.names import ledger_name
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.cluster import S3, Cluster
from tests.support.jobs import LiveJob
from tests.support.kube import Body, Kube
from tests.support.waiting import until


def s3_client(s3: S3) -> S3Client:
    """Return a client of the cluster's store."""
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )


def keys_of(client: S3Client, bucket: str, prefix: str = "") -> list[str]:
    """Return the keys in a bucket, in order."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def remove_bucket(client: S3Client, bucket: str) -> None:
    """Take a bucket away: each one takes room in the store, empty or not.

    For some stores it is not empty while uploads are under way, such as a killed worker's.
    """
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    while found := client.list_objects_v2(Bucket=bucket).get("Contents"):
        keys: list[ObjectIdentifierTypeDef] = [{"Key": item["Key"]} for item in found]
        client.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    client.delete_bucket(Bucket=bucket)


@dataclass(frozen=True)
class Space:
    """A namespace and a bucket."""

    cluster: Cluster
    kube: Kube
    s3: S3Client
    namespace: str
    bucket: str

    def submit(self, job: Body) -> LiveJob:
        """Make a Job here."""
        self.kube.create(bec(self.namespace, "jobs"), job)
        return LiveJob(self.kube, self.namespace, job["metadata"]["name"])

    def put(self, key: str, body: bytes) -> None:
        """Write an object into the bucket."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def read(self, key: str) -> bytes:
        """Read an object of the bucket."""
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def stored(self, prefix: str = "") -> list[str]:
        """Return the keys in the bucket, in order."""
        return keys_of(self.s3, self.bucket, prefix)

    def wait_next_second(self) -> None:
        """Wait until all markers are from an earlier second than this one, by S3's clock."""

        def are_older() -> bool:
            keys = [key for key in self.stored() if key.endswith(MARKER_NAME)]
            heads = [self.s3.head_object(Bucket=self.bucket, Key=key) for key in keys]
            now = datetime.now(UTC)
            return all((now - head["LastModified"]).total_seconds() >= 1 for head in heads)

        until(are_older, "the next moment is another one for S3")

    def put_config_map(self, name: str, **content: dict[str, str]) -> None:
        """Make a ConfigMap; `content` is its data or binaryData."""
        self.kube.create(core(self.namespace, "configmaps"), _named("ConfigMap", name, **content))

    def make_pod(self, name: str, spec: Body, labels: dict[str, str] | None = None) -> str:
        """Make a pod that is nobody's, and return its path."""
        pod = _named("Pod", name, spec=spec)
        pod["metadata"]["labels"] = labels or {}
        self.kube.create(core(self.namespace, "pods"), pod)
        return core(self.namespace, "pods", name)

    def ledger(self, job: str) -> Body | None:
        """Return the ConfigMap with the ledger of a Job; None if there is none."""
        return self.kube.find(core(self.namespace, "configmaps", ledger_name(job)))

    def frozen(self, job: str) -> list[Volume]:
        """Return the volumes of the manifest that the ledger of a Job names."""
        ledger = self.ledger(job)
        assert ledger is not None
        digest = ledger["data"]["manifest"]
        packed = self.read(f"artefacts/{job}/_job/manifest-{digest[:16]}.jsonl.gz")
        rows = map(json.loads, gzip.decompress(packed).splitlines())
        return [Volume(row["wId"], row["iId"], row["iVersion"]) for row in rows]

    def reported(self, job_id: str) -> list[Body]:
        """Return the lines of the failure report of a job."""
        keys = [key for key in self.stored(f"artefacts/{job_id}/_job/") if "/failures-" in key]
        return [json.loads(line) for key in keys for line in self.read(key).splitlines()]

    def tasks(self, **query: str) -> list[Body]:
        """Return the VolumeTasks."""
        return self.kube.items(bec(self.namespace, "volumetasks"), **query)

    def pods(self) -> list[Body]:
        """Return the pods."""
        return self.kube.items(core(self.namespace, "pods"))

    def events(self, job: str, reason: str) -> list[Body]:
        """Wait until people are told something about a Job, and return all that tells it."""
        about = f"involvedObject.kind=Job,involvedObject.name={job},reason={reason}"
        path = core(self.namespace, "events")
        return until(lambda: self.kube.items(path, fieldSelector=about), f"an Event {reason}")

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl in this namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, input=input)


def _named(kind: str, name: str, **content: Any) -> Body:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}


@contextmanager
def new_space(cluster: Cluster, kube: Kube, s3: S3Client) -> Iterator[Space]:
    """Make a namespace and a bucket; both go at the end, the namespace in its own time."""
    name = f"test-{uuid4().hex[:10]}"
    kube.create(core(None, "namespaces"), _named("Namespace", name))
    until(lambda: kube.find(core(name, "serviceaccounts", "default")), "pods are accepted")
    s3.create_bucket(Bucket=name)
    space = Space(cluster, kube, s3, name, name)
    try:
        yield space
    finally:
        kube.delete(core(None, "namespaces", name))
        remove_bucket(s3, name)
        for pod in kube.items(core(name, "pods")):  # there is no kubelet that would let them go
            kube.delete(core(name, "pods", pod["metadata"]["name"]), grace=0)
