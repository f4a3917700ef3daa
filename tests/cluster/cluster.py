"""A Kubernetes on this machine: started whole, found again by name, and taken down to nothing."""

import os
import re
import subprocess
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from . import control_plane, kwok, node, s3, takedown
from .binaries import binary, packaged
from .cache import cache, locked, replace
from .errors import ClusterError
from .pki import Authority
from .process import Process, Running, Spec, recorded
from .site import Port, Site, home_of, take_slot


class Parts(StrEnum):
    """How much of a cluster to start; each holds the one before, but a node is real or fake."""

    API = "api"  # etcd, API server, controller manager, S3
    KWOK = "kwok"  # and a scheduler, and nodes that are not there
    NODE = "node"  # and a scheduler, and this machine as the one node


class _State(BaseModel):
    name: str
    slot: int
    parts: Parts
    owner: Running | None  # ends the cluster when it ends; none: it stays up


class Cluster:
    """A cluster that runs; as a context it is stopped at the end."""

    def __init__(self, state: _State) -> None:
        self.name = state.name
        self.parts = state.parts
        self.site = Site(state.name, state.slot, isolated=state.parts is Parts.NODE)
        self.processes: Mapping[str, Process] = recorded(self.site.home)

    @classmethod
    def start(cls, name: str, parts: Parts) -> Self:
        """Start a new cluster, ready when this returns; one of this name from before goes first.

        `ClusterError` if that one is still in use by another process.
        """
        _check(name, parts)
        _remove_orphans()
        with locked(_lock(name)):
            _refuse_if_owned(name)
            takedown.take_down(home_of(name))
            home_of(name).mkdir(parents=True)
            slot = take_slot(home_of(name))
            state = _State(name=name, slot=slot, parts=parts, owner=Running.of(os.getpid()))
            _write(state)
            cluster = cls(state)
            try:
                cluster._bring_up()
            except BaseException:
                takedown.take_down(cluster.site.home)
                raise
        return cluster

    @classmethod
    def attach(cls, name: str) -> Self:
        """Find a cluster that was started before; `ClusterError` if there is none."""
        state = _read(name)
        if not state:
            raise ClusterError(
                f"no cluster {name!r} runs; `python -m tests.cluster up --name {name}` starts one"
            )
        return cls(state)

    def detach(self) -> None:
        """Leave the cluster up when this process ends."""
        state = _read(self.name)
        if state:
            _write(state.model_copy(update={"owner": None}))

    def stop(self) -> None:
        """Stop everything and leave nothing; the logs are moved to the cache's `logs/NAME`."""
        with locked(_lock(self.name)):
            takedown.take_down(self.site.home)

    def healthy(self) -> bool:
        """Say whether all processes run."""
        return bool(self.processes) and all(each.pid for each in self.processes.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator."""
        return self.site.home / "pki" / "admin.kubeconfig"

    @property
    def s3(self) -> s3.S3:
        """How to reach the cluster's S3."""
        return s3.access(self.site)

    def environment(self) -> dict[str, str]:
        """Give the variables that clients of the cluster and of its S3 read."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": self._kubectl_cache,
            **self.s3.environment(),
        }

    @property
    def _kubectl_cache(self) -> str:
        """Where kubectl keeps what the API server serves; else that is below $HOME, or here."""
        return str(self.site.home / "kubectl")

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as administrator; give what it prints, or raise with what it complains."""
        return self._run(packaged("kubectl"), arguments, input)

    def helm(self, *arguments: str) -> str:
        """Run Helm as administrator; give what it prints, or raise with what it complains."""
        return self._run(binary("helm"), arguments, None)

    def add_fake_nodes(self, count: int) -> None:
        """Add nodes that KWOK plays, and wait until they are Ready."""
        there = self.kubectl("get", "nodes", "-l", "type=kwok", "-o", "name").split()
        self.kubectl("create", "-f", "-", input=kwok.nodes(len(there), count))
        ready = ("--for=condition=Ready", "--timeout=60s")
        self.kubectl("wait", "nodes", "-l", "type=kwok", *ready)

    def load_image(self, archive: Path, name: str) -> None:
        """Give the node the image `name` from an OCI archive; pods must not ask to pull it."""
        node.load_image(self.site, archive, name)

    def tag_image(self, image: str, name: str) -> None:
        """Let an image that the node has be called `name` as well, as if it had been pulled."""
        node.tag_image(self.site, image, name)

    def _run(self, program: Path, arguments: tuple[str, ...], text: str | None) -> str:
        home = self.site.home / "helm"
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "NO_PROXY": "*",
            "KUBECACHEDIR": self._kubectl_cache,
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
        }
        done = subprocess.run(
            [str(program), *arguments],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            words = " ".join((program.name.partition("-")[0], *arguments))
            raise ClusterError(f"`{words}` failed on cluster {self.name!r}: {done.stderr.strip()}")
        return done.stdout

    def _bring_up(self) -> None:
        site = self.site
        s3.create(site)
        authority = Authority(site.home / "pki")
        files = control_plane.credentials(site, authority)
        basis = [s3.server(site), control_plane.etcd(site), control_plane.api_server(site, files)]
        rest = [control_plane.controller_manager(site, files)]
        if self.parts is not Parts.API:
            rest.append(control_plane.scheduler(site, files))
        if self.parts is Parts.KWOK:
            rest.append(kwok.server(site, files.admin))
        if self.parts is Parts.NODE:
            node.prepare(site)
            basis.append(node.containerd(site))
            server = site.url(Port.API, scheme="https")
            rest += [part(site, authority, server) for part in node.CLIENTS]
        self._launch(basis)
        if self.parts is Parts.NODE:
            node.load_pause(site)
            self.kubectl("apply", "-f", str(node.RIGHTS))
        self._launch(rest)
        if self.parts is Parts.NODE:
            self.kubectl("wait", "--for=create", f"node/{site.name}", "--timeout=60s")
            self.kubectl("wait", "--for=condition=Ready", f"node/{site.name}", "--timeout=60s")
        # Until it exists, pods are refused.
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")

    def _launch(self, specs: list[Spec]) -> None:
        """Start processes together, then wait until all are ready."""
        placed = [spec.model_copy(update={"network": self.site.namespace}) for spec in specs]
        started = {spec.name: Process(self.site.home, spec) for spec in placed}
        self.processes = {**self.processes, **started}
        for process in started.values():
            process.start()
        for process in started.values():
            process.wait_ready()


def clusters() -> list[Cluster]:
    """Find all clusters of this cache."""
    folders = sorted(file.parent for file in (cache() / "clusters").glob("*/cluster.json"))
    states = [_read(folder.name) for folder in folders]
    return [Cluster(state) for state in states if state]


def remove(name: str) -> bool:
    """Take down the cluster `name`, whatever state it is in; False if there was nothing."""
    with locked(_lock(name)):
        there = home_of(name).exists()
        takedown.take_down(home_of(name))
    return there


def _remove_orphans() -> None:
    """Take down what was to end with a process that was killed before it could do that."""
    for cluster in clusters():
        with locked(_lock(cluster.name)):
            state = _read(cluster.name)
            if state and state.owner and not state.owner.alive():
                takedown.take_down(home_of(cluster.name))


def _check(name: str, parts: Parts) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}", name):
        raise ClusterError(
            f"a cluster cannot be called {name!r}: use 1 to 20 of a-z, 0-9 and -, not - first"
        )
    if parts is Parts.NODE and os.geteuid() != 0:
        raise ClusterError("a real node needs root: for containers, cgroups and a network")
    # The longest path of a socket that the kernel takes is 107 bytes.
    if len(str(home_of(name))) > 70:
        raise ClusterError(f"{home_of(name)} is too long a path: set BEC_CACHE to a shorter one")


def _refuse_if_owned(name: str) -> None:
    state = _read(name)
    if state and state.owner and state.owner.alive() and state.owner.pid != os.getpid():
        raise ClusterError(
            f"cluster {name!r} is in use by process {state.owner.pid}: wait for its end, "
            "or choose another name"
        )


def _lock(name: str) -> Path:
    return cache() / "clusters" / f".{name}.lock"


def _read(name: str) -> _State | None:
    try:
        return _State.model_validate_json((home_of(name) / "cluster.json").read_text())
    except FileNotFoundError:
        return None


def _write(state: _State) -> None:
    replace(home_of(state.name) / "cluster.json", state.model_dump_json(indent=1))
