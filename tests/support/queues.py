"""Real SQS servers for tests: ElasticMQ and moto, each on a free port of this machine.

Neither is Amazon's, and they differ: what holds on both, and is documented by Amazon, is what the
operator may build on.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import boto3
from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.literals import QueueAttributeNameType

from bec_operator.act.ground.connections import Connection
from tests.cluster import S3, ClusterError
from tests.cluster.cache import cache, locked
from tests.cluster.process import Spec
from tests.cluster.programs import run_to_end
from tests.stores import SERVERS as STORES
from tests.stores import StoreServer, running
from tests.stores.servers import Command, Place

log = logging.getLogger(__name__)

_ELASTICMQ = "1.6.14"
# SHA-256 of what `sha256sum *.jar` prints of ElasticMQ and all that it needs, in the order of C.
_JARS = "79da023465d07d4e5fbacd5fb844959163188219dd8938945b178b7908bd4e10"
_POM = Path(__file__).parents[1] / "queues/pom.xml"
_CONFIG = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""


def install() -> None:
    """Bring the programs of all servers into the cache, where it lacks them."""
    for server in SERVERS.values():
        server.program()


def elasticmq() -> Command:
    """Give the command of ElasticMQ, whose jars Maven resolves as it is set up on this machine."""
    folder = cache() / "queues" / f"elasticmq-{_ELASTICMQ}"
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            log.info("installing ElasticMQ %s, once", _ELASTICMQ)
            with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
                jars = Path(draft) / "jars"
                _copy_jars(jars)
                jars.rename(folder)
    return (_program("java"), "-Xmx128m", "-cp", f"{folder}/*")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ClusterError(f"there is no {name} on the PATH: run `make setup`, which brings one")
    return found


def _copy_jars(folder: Path) -> None:
    """Have Maven copy them, and see that they are those that were pinned."""
    words = ("--quiet", "--batch-mode", f"--file={_POM}", f"-Delasticmq.version={_ELASTICMQ}")
    copy = ("-DincludeScope=runtime", f"-DoutputDirectory={folder}")
    run_to_end(_program("mvn"), *words, *copy, "dependency:copy-dependencies")
    listing = hashlib.sha256()
    for jar in sorted(folder.iterdir()):
        listing.update(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n".encode())
    if listing.hexdigest() != _JARS:
        raise ClusterError(
            f"the jars of ElasticMQ {_ELASTICMQ} are not those that were pinned: their digest is "
            f"{listing.hexdigest()}; if that is right, write it to {__file__}"
        )


def _run_elasticmq(command: Command, place: Place) -> Spec:
    config = place.home / "elasticmq.conf"
    config.write_text(_CONFIG.format(port=place.port))
    return Spec(
        name="elasticmq",
        argv=(command[0], f"-Dconfig.file={config}", *command[1:], "org.elasticmq.server.Main"),
        ready=(f"{place.s3.endpoint_url}/health",),
    )


SERVERS = {
    "elasticmq": StoreServer("elasticmq", _ELASTICMQ, elasticmq, _run_elasticmq),
    "moto": STORES["moto"],
}


@dataclass(frozen=True)
class Sqs:
    """A server that runs, and who may use it."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str

    def secret(self) -> dict[str, str]:
        """Return what the Secret of a connection to it holds."""
        return {
            "AWS_ENDPOINT_URL_SQS": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> SQSClient:
        """Return a client of boto3 as others use it: not the operator's."""
        return boto3.client(
            "sqs",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def make_queue(self, name: str = "", **attributes: str) -> str:
        """Make a queue of its own for a test, and return its URL."""
        given: dict[QueueAttributeNameType, str] = {**attributes}  # type: ignore[dict-item]
        name = name or f"queue-{uuid4().hex[:12]}"
        return self.client().create_queue(QueueName=name, Attributes=given)["QueueUrl"]


def connection(folder: Path, secret: dict[str, str], name: str = "queues") -> Connection:
    """Return a connection whose Secret, as it is mounted, holds these; without any it has none."""
    if secret:
        folder.mkdir(exist_ok=True)
    for key, value in secret.items():
        (folder / key).write_text(value)
    return Connection(name, folder)


@contextmanager
def serving(name: str) -> Iterator[Sqs]:
    """Run the server of a name as long as the context lasts."""
    with running(SERVERS[name]) as s3:
        yield _as_queues(name, s3)


def _as_queues(name: str, s3: S3) -> Sqs:
    return Sqs(name, s3.endpoint_url, s3.access_key, s3.secret_key, s3.region)
