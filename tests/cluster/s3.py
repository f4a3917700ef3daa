"""The cluster's S3: SeaweedFS, with one identity that may do everything."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from .binaries import packaged
from .cache import replace
from .process import Spec
from .site import Port, Site, port_of


@dataclass(frozen=True)
class S3:
    """How to reach the store, from the machine and from pods alike."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """Give the variables that boto3 and the AWS tools read."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }


def create(site: Site) -> None:
    """Make the store's identity, new for each cluster."""
    keys = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
    identity = {"name": "bec", "credentials": [keys], "actions": ["Admin"]}
    replace(site.home / "s3.json", json.dumps({"identities": [identity]}))


def access(site: Site) -> S3:
    """Read the store's identity."""
    keys = json.loads((site.home / "s3.json").read_text())["identities"][0]["credentials"][0]
    return S3(site.url(Port.S3), keys["accessKey"], keys["secretKey"])


def server(site: Site) -> Spec:
    """Run the store's four servers in one process; only S3 is for others."""
    data = site.home / "s3"
    data.mkdir(exist_ok=True)
    arguments = (
        "-logtostderr",
        "server",
        f"-dir={data}",
        f"-ip={site.ip}",
        f"-ip.bind={site.ip}",
        f"-master.port={site.port(Port.MASTER)}",
        f"-master.port.grpc={site.port(Port.MASTER_GRPC)}",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",  # of one: 10 s would be the wait after each restart
        "-master.volumeSizeLimitMB=256",
        f"-volume.port={site.port(Port.VOLUME)}",
        f"-volume.port.grpc={site.port(Port.VOLUME_GRPC)}",
        "-volume.preStopSeconds=0",
        "-volume.max=10000",  # of 256 MB at most: every bucket has volumes of its own
        "-filer",
        f"-filer.port={site.port(Port.FILER)}",
        f"-filer.port.grpc={site.port(Port.FILER_GRPC)}",
        f"-filer.localSocket={site.home / 'filer.sock'}",
        "-s3",
        f"-s3.port={site.port(Port.S3)}",
        f"-s3.port.grpc={site.port(Port.S3_GRPC)}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={site.home / 's3.sock'}",
        f"-s3.config={site.home / 's3.json'}",
    )
    return Spec(
        name="s3",
        argv=(str(packaged("weed")), *arguments),
        environment={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
        # It has to reach its own parts, too: an assignment needs master and volume server.
        ready=(site.url(Port.S3, "/healthz"), site.url(Port.MASTER, "/dir/assign")),
    )


def remove_sockets(slot: int) -> None:
    """Remove what the servers leave in places that nothing can change."""
    servers = {
        "master": Port.MASTER_GRPC,
        "volume": Port.VOLUME_GRPC,
        "filer": Port.FILER_GRPC,
        "s3": Port.S3_GRPC,
    }
    for name, what in servers.items():
        Path(f"/tmp/seaweedfs-{name}-grpc-{port_of(slot, what)}.sock").unlink(missing_ok=True)
