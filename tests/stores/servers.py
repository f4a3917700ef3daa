"""The servers, and what each does otherwise than Amazon's S3: the one place that knows.

A trait is the server's own; what our client makes of it is asserted on every server alike.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from tests.cluster import S3, ClusterError
from tests.cluster.binaries import STORES, binary, packaged
from tests.cluster.process import Spec

from . import programs

VARIABLE = "BEC_TEST_STORE"
"""Names the server that the integration tests run against; that of the cluster if not set."""


class Trait(StrEnum):
    """What a server may lack, as it is told in the table of results."""

    SIGNATURES = "it checks no signature"
    OBJECT_LOCK = "it has no Object Lock"
    LONG_NAMES = "it keeps a key in files, whose names have 255 bytes at most"
    WHOLE_OVERWRITES = "an object that is overwritten may be read cut short"
    FOLDER_AND_OBJECT = "an object and a folder cannot have the same name"


@dataclass(frozen=True)
class Place:
    """Where a server keeps its files and listens, and who may use it."""

    home: Path
    port: int
    s3: S3

    @property
    def data(self) -> Path:
        """An empty folder for its objects."""
        folder = self.home / "data"
        folder.mkdir(exist_ok=True)
        return folder


Command = tuple[str, ...]


@dataclass(frozen=True)
class StoreServer:
    """One server in one version.

    `program` installs it, where the cache lacks it, and gives the words to start it with; `spec`
    says how to run it at a place, and is None for the cluster's own.
    """

    name: str
    version: str
    program: Callable[[], Command]
    spec: Callable[[Command, Place], Spec] | None
    lacks: frozenset[Trait] = frozenset()


def _moto(command: Command, place: Place) -> Spec:
    return Spec(
        name="moto",
        argv=(*command, "-H", "127.0.0.1", "-p", str(place.port)),
        ready=(f"{place.s3.endpoint_url}/moto-api/",),
    )


def _versitygw(command: Command, place: Place) -> Spec:
    versions = place.home / "versions"  # without a place for them it locks a key for good
    versions.mkdir()
    of_gateway = (f"--port=127.0.0.1:{place.port}", "--health=/health", "--quiet")
    of_backend = ("posix", f"--versioning-dir={versions}", str(place.data))
    return Spec(
        name="versitygw",
        argv=(*command, *of_gateway, *of_backend),
        environment={
            "ROOT_ACCESS_KEY": place.s3.access_key,
            "ROOT_SECRET_KEY": place.s3.secret_key,
        },
        ready=(f"{place.s3.endpoint_url}/health",),
    )


def _minio(command: Command, place: Place) -> Spec:
    listen = f"--address=127.0.0.1:{place.port}"
    return Spec(
        name="minio",
        argv=(*command, "server", "--quiet", listen, str(place.data)),
        environment={
            "MINIO_ROOT_USER": place.s3.access_key,
            "MINIO_ROOT_PASSWORD": place.s3.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        },
        ready=(f"{place.s3.endpoint_url}/minio/health/cluster",),
    )


def _s3proxy(command: Command, place: Place) -> Spec:
    properties = {
        "s3proxy.endpoint": place.s3.endpoint_url,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": place.s3.access_key,
        "s3proxy.credential": place.s3.secret_key,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": place.data,
        "jclouds.identity": "of-nobody",
        "jclouds.credential": "of-nobody",
    }
    file = place.home / "s3proxy.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return Spec(
        name="s3proxy",
        argv=(*command, str(file)),
        environment={"LC_ALL": "C.UTF-8"},  # else no file has a Tibetan name
        ready=(f"{place.s3.endpoint_url}/healthz",),
    )


def _module(name: str) -> tuple[str, str, Callable[[], Command]]:
    """Return name, version and program of a server that Go builds."""
    return name, STORES[name].rpartition("@")[2], lambda: (str(binary(name)),)


def _of_maven(name: str, version: str) -> tuple[str, str, Callable[[], Command]]:
    return name, version, partial(programs.s3proxy, version)


_FILES = frozenset({Trait.LONG_NAMES, Trait.FOLDER_AND_OBJECT})
_S3PROXY = _FILES | {Trait.OBJECT_LOCK}
_ALL = (
    StoreServer("seaweedfs", "4.48", lambda: (str(packaged("weed")),), spec=None),
    StoreServer("moto", "5.2.5", programs.moto, _moto, frozenset({Trait.SIGNATURES})),
    StoreServer(*_module("versitygw"), _versitygw, _FILES),
    StoreServer(*_module("minio"), _minio, frozenset({Trait.LONG_NAMES})),
    StoreServer(*_of_maven("s3proxy", "4.1.0"), _s3proxy, _S3PROXY),
    StoreServer(*_of_maven("s3proxy3", "3.3.0"), _s3proxy, _S3PROXY | {Trait.WHOLE_OVERWRITES}),
)
CLUSTERS_OWN = _ALL[0].name
SERVERS = {server.name: server for server in _ALL}


def named(name: str) -> StoreServer:
    """Give the server of a name; raises ClusterError that says which there are."""
    if name not in SERVERS:
        raise ClusterError(f"there is no server {name!r}; name one of {', '.join(SERVERS)}")
    return SERVERS[name]


def chosen() -> StoreServer:
    """Give the server that the environment names."""
    return named(os.environ.get(VARIABLE) or CLUSTERS_OWN)
