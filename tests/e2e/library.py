"""A library: catalogue and results in PostgreSQL, queues, and an operator that knows of them."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from examples import deploy
from examples.bdrc import catalogue
from tests.cluster import Cluster
from tests.e2e.elasticmq import queues_of
from tests.support.queues import Sqs


@dataclass(frozen=True)
class Library:
    """What a test asks of it."""

    cluster: Cluster
    sqs: Sqs
    archive: Store

    def rows(self, query: LiteralString) -> list[dict[str, str]]:
        """Return the rows of a query, as psql prints them; NULL is empty."""
        return list(csv.DictReader(io.StringIO(catalogue.ask(self.cluster, query, "--csv"))))

    def shown(self, query: LiteralString) -> str:
        """Return what psql shows to people."""
        return f"{query}\n{catalogue.ask(self.cluster, query)}"

    def send(self, url: str, volume: Volume) -> None:
        """Send a message that names a volume, as BEC does."""
        body = json.dumps({"w_id": volume.w_id, "i_id": volume.i_id})
        self.sqs.client().send_message(QueueUrl=url, MessageBody=body)

    def waiting(self, url: str) -> int:
        """Count the messages that a queue has, received or not."""
        asked = self.sqs.client().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found = asked["Attributes"]
        visible = int(found["ApproximateNumberOfMessages"])
        return visible + int(found["ApproximateNumberOfMessagesNotVisible"])

    def take(self, url: str) -> dict[str, Any]:
        """Take the messages that a queue has now, and return what they tell, by their subject."""
        told: dict[str, Any] = {}
        client = self.sqs.client()
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        while batch := client.receive_message(**asked).get("Messages"):  # type: ignore[arg-type]
            for message in batch:
                event = json.loads(message["Body"])
                told[event["subject"]] = event
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return told


@contextmanager
def library_in(cluster: Cluster, bucket: str, *settings: str) -> Iterator[Library]:
    """Have one in a cluster, for all namespaces; afterwards the operator knows it no more.

    `settings` are those with which the operator was installed before.
    """
    deploy.load_images(cluster, ("archive", "postgres"), lambda _: None)
    archive = deploy.open_store(cluster, bucket)
    with queues_of(cluster) as sqs:
        catalogue.install(cluster)
        catalogue.write_secret(cluster, deploy.OPERATOR_NAMESPACE, "queues", sqs.secret())
        queues: dict[str, object] = {"name": "queues", "kind": "sqs", "secret": "queues"}
        known = catalogue.values("*", {**queues, "namespaces": ["*"]})
        deploy.install_operator(cluster, *settings, known)
        try:
            catalogue.migrate(cluster)
            yield Library(cluster, sqs, archive)
        finally:
            deploy.install_operator(cluster, *settings)
            cluster.kubectl("delete", "namespace", catalogue.NAMESPACE, "--wait=false")
