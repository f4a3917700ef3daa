"""Where a cluster lives: its folder, and the slot that its addresses and ports follow from."""

import os
import socket
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from .cache import cache, locked
from .errors import ClusterError
from .process import marked

SLOTS = 32
_FIRST_PORT = 20000  # all slots stay below the ephemeral ports


class Port(IntEnum):
    """What listens, numbered by its place in the slot's block of ports."""

    ETCD = 0
    ETCD_PEER = 1
    API = 2
    CONTROLLER_MANAGER = 3
    SCHEDULER = 4
    KWOK = 5
    S3 = 6
    S3_GRPC = 7
    FILER = 8
    FILER_GRPC = 9
    MASTER = 10
    MASTER_GRPC = 11
    VOLUME = 12
    VOLUME_GRPC = 13
    PROXY_HEALTH = 14
    CONTAINERD = 15
    DNS_HEALTH = 16
    DNS_READY = 17
    ETCD_HEALTH = 18


@dataclass(frozen=True)
class Site:
    """One cluster's place on the machine; with `isolated`, in a network namespace of its own."""

    name: str
    slot: int
    isolated: bool

    @property
    def home(self) -> Path:
        """The folder that holds all of the cluster's files."""
        return home_of(self.name)

    @property
    def logs(self) -> Path:
        """The folder with one log file a process."""
        return self.home / "logs"

    @property
    def system_name(self) -> str:
        """What the cluster's network namespace and cgroup are called."""
        return system_name_of(self.slot)

    @property
    def namespace(self) -> Path | None:
        """The network namespace in which the processes run, if not the machine's own."""
        return Path("/run/netns") / self.system_name if self.isolated else None

    @property
    def ip(self) -> str:
        """Where the servers listen: reachable from the machine and, on a node, from pods."""
        return f"10.199.{self.slot}.2" if self.isolated else "127.0.0.1"

    @property
    def host_ip(self) -> str:
        """The machine's end of the link into the network namespace."""
        return f"10.199.{self.slot}.1"

    @property
    def pod_range(self) -> str:
        """Addresses of pods."""
        return f"10.{200 + self.slot}.0.0/16"

    @property
    def bridge_ip(self) -> str:
        """The pods' gateway and name server."""
        return f"10.{200 + self.slot}.0.1"

    @property
    def service_range(self) -> str:
        """Addresses of Services."""
        return f"10.198.{self.slot}.0/24"

    @property
    def api_service_ip(self) -> str:
        """The address of the Service `kubernetes`."""
        return f"10.198.{self.slot}.1"

    def port(self, what: Port) -> int:
        """Give the port of a listener."""
        return port_of(self.slot, what)

    def url(self, what: Port, path: str = "", scheme: str = "http") -> str:
        """Give the address of a listener."""
        return f"{scheme}://{self.ip}:{self.port(what)}{path}"


def system_name_of(slot: int) -> str:
    """Give the name of the network namespace and cgroup of the cluster in `slot`."""
    return f"bec{slot}"


def port_of(slot: int, what: Port) -> int:
    """Give the port of a listener of the cluster in `slot`."""
    return _FIRST_PORT + len(Port) * slot + what


def home_of(name: str) -> Path:
    """Give the folder of the cluster called `name`."""
    return cache() / "clusters" / name


def take_slot(home: Path) -> int:
    """Take the lowest slot that is nobody's, for the cluster whose folder is `home`.

    A slot belongs to a folder, over all caches of this user, until the folder or the claim goes.
    """
    with locked(_claims() / "lock"):
        for slot in range(SLOTS):
            claim = _claims() / str(slot)
            if claim.is_symlink() and not claim.exists() and not marked(claim.readlink()):
                claim.unlink()
            if not claim.is_symlink() and _ports_free(slot):
                claim.symlink_to(home)
                return slot
    raise ClusterError(
        f"all {SLOTS} slots for clusters are taken; `python -m tests.cluster status` names those "
        "of this cache, `down --name NAME` frees one"
    )


def held_slot(home: Path) -> int | None:
    """Look up the slot that the cluster in `home` took."""
    for claim in _claims().glob("[0-9]*"):
        if claim.readlink() == home:
            return int(claim.name)
    return None


def give_back_slot(slot: int) -> None:
    """Let others have the slot."""
    with locked(_claims() / "lock"):
        (_claims() / str(slot)).unlink(missing_ok=True)


def _claims() -> Path:
    return Path(tempfile.gettempdir()) / f"bec-operator-slots-{os.getuid()}"


def _ports_free(slot: int) -> bool:
    for what in Port:
        with socket.socket() as probe:
            # As servers do: a port whose last connections linger is free all the same.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port_of(slot, what)))
            except OSError:
                return False
    return True
