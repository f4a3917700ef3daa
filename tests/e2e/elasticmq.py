"""A queue that pods reach: ElasticMQ in the network of the cluster, as its S3 is."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster import Cluster, Process
from tests.cluster.process import Spec
from tests.support.queues import Sqs, elasticmq

_PORT = 9324  # its usual one: the network is the cluster's own
_CONFIG = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "{ip}", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "{ip}", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""


@contextmanager
def queues_of(cluster: Cluster) -> Iterator[Sqs]:
    """Run it as long as the context lasts; if it does not end then, it does with the cluster."""
    site = cluster.site
    config = site.home / "elasticmq.conf"
    config.write_text(_CONFIG.format(ip=site.ip, port=_PORT))
    url = f"http://{site.ip}:{_PORT}"
    java, *words = elasticmq()
    spec = Spec(
        name="elasticmq",
        argv=(java, f"-Dconfig.file={config}", *words, "org.elasticmq.server.Main"),
        network=site.namespace,
        ready=(f"{url}/health",),
    )
    process = Process(site.home, spec)
    process.start()
    try:
        process.wait_ready()
        yield Sqs("elasticmq", url, "anybody", "anything", "us-east-1")
    finally:
        process.kill()  # nothing of it is to be kept
