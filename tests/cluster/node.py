"""A real node on this machine: containerd, kubelet, kube-proxy and the cluster's name server."""

import os
import subprocess
import time
from pathlib import Path

import yaml

from . import cgroups, network
from .binaries import binary
from .cache import replace
from .control_plane import component
from .errors import ClusterError
from .pki import Authority
from .process import Spec
from .site import Port, Site

RIGHTS = Path(__file__).with_name("node-rights.yaml")
_PAUSE = "localhost/pause:1"
_KUBELET_HEALTH = 10248


def prepare(site: Site) -> None:
    """Make the node's network, its control group and the place of its images."""
    # Ten thousands of small files come with images and go with the cluster: a disk takes longer
    # over them than over all the rest.
    images = site.home / "containerd"
    images.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "mode=0711", "tmpfs", images), check=True)
    network.up(site)
    network.write_plugins(site)
    cgroups.make(site.system_name)


def containerd(site: Site) -> Spec:
    """Run containers; with root, state and socket of its own."""
    config = site.home / "containerd.toml"
    replace(config, _containerd_config(site))
    return Spec(
        name="containerd",
        argv=("containerd", f"--config={config}"),
        ready=(site.url(Port.CONTAINERD, "/v1/metrics"),),
    )


def kubelet(site: Site, authority: Authority, server: str) -> Spec:
    """Run the pods that are bound to this node."""
    user = f"system:node:{site.name}"
    kubeconfig = authority.kubeconfig(server, "kubelet", user, ("system:nodes",))
    pair = authority.issue("kubelet-server", user, (), site.name, site.ip)
    config = site.home / "kubelet.yaml"
    replace(site.home / "resolv.conf", f"nameserver {site.bridge_ip}\n")
    settings = {
        **_kubelet_settings(site),
        "tlsCertFile": str(pair.certificate),
        "tlsPrivateKeyFile": str(pair.key),
    }
    replace(config, yaml.safe_dump(settings))
    arguments = (
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={site.home / 'kubelet'}",
        f"--hostname-override={site.name}",
        f"--node-ip={site.ip}",
    )
    return Spec(
        name="kubelet",
        argv=component("kubelet", *arguments),
        ready=(f"http://{site.ip}:{_KUBELET_HEALTH}/healthz",),
    )


def kube_proxy(site: Site, authority: Authority, server: str) -> Spec:
    """Lead the addresses of Services to pods."""
    kubeconfig = authority.kubeconfig(server, "kube-proxy", "system:kube-proxy")
    arguments = (
        f"--kubeconfig={kubeconfig}",
        "--proxy-mode=nftables",
        f"--hostname-override={site.name}",
        f"--cluster-cidr={site.pod_range}",
        f"--healthz-bind-address={site.ip}:{site.port(Port.PROXY_HEALTH)}",
        # Else an answer from the same bridge would go back past the rules, and not be recognised.
        "--masquerade-all",
        # The limits of connection tracking are the machine's, not ours.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    )
    return Spec(
        name="kube-proxy",
        argv=component("kube-proxy", *arguments),
        ready=(site.url(Port.PROXY_HEALTH, "/healthz"),),
    )


def coredns(site: Site, authority: Authority, server: str) -> Spec:
    """Answer for the names of Services, and for no others."""
    kubeconfig = authority.kubeconfig(server, "coredns", "system:coredns")
    config = site.home / "Corefile"
    replace(
        config,
        f""".:53 {{
    bind {site.bridge_ip}
    errors
    health {site.ip}:{site.port(Port.DNS_HEALTH)}
    ready {site.ip}:{site.port(Port.DNS_READY)}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
    cache 5
}}
""",
    )
    return Spec(
        name="coredns",
        argv=(str(binary("coredns")), f"-conf={config}"),
        ready=(site.url(Port.DNS_READY, "/ready"),),
    )


CLIENTS = (kubelet, kube_proxy, coredns)  # what needs the API server


def load_image(site: Site, archive: Path, name: str) -> None:
    """Put the image `name` from an OCI archive into the node's store, where the kubelet sees it."""
    _ctr(site, "images", "import", str(archive))
    deadline = time.monotonic() + 10
    while name not in (listed := _ctr(site, "images", "list", "--quiet").split()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{archive} holds no image {name!r}, but {listed}")


def tag_image(site: Site, image: str, name: str) -> None:
    """Let an image that the node has be called `name` as well, as if it had been pulled."""
    _ctr(site, "images", "tag", image, name)


def load_pause(site: Site) -> None:
    """Load the image of the process that holds a pod's namespaces."""
    # Here, since a cluster without a node needs no image, nor what images are built with.
    from .images import archive  # noqa: PLC0415

    load_image(site, archive("pause"), _PAUSE)


def _ctr(site: Site, *arguments: str) -> str:
    command = ("ctr", f"--address={_socket(site)}", "--namespace=k8s.io", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`ctr {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _socket(site: Site) -> Path:
    return site.home / "containerd.sock"


def _containerd_config(site: Site) -> str:
    return f"""version = 2
root = "{site.home / "containerd"}"
state = "{site.home / "containerd-state"}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{_socket(site)}"

[metrics]
address = "{site.ip}:{site.port(Port.CONTAINERD)}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{_PAUSE}"
netns_mounts_under_state_dir = true
# Without the right to lower it, every sandbox would fail.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{site.home / "cni" / "net.d"}"
"""


def _kubelet_settings(site: Site) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": site.ip,
        "healthzBindAddress": site.ip,
        "healthzPort": _KUBELET_HEALTH,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(site.home / "pki" / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{_socket(site)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{site.system_name}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [site.bridge_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": str(site.home / "resolv.conf"),
        "podLogsDir": str(site.logs / "pods"),
        "volumePluginDir": str(site.home / "kubelet-plugins"),
        "maxPods": 250,
        "podPidsLimit": 256,  # as many clusters have it: what piles up is found out
        # A machine that is nearly full is no reason to evict, nor to remove images.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def remove(system_name: str, home: Path) -> None:
    """Remove what a node made outside its folder, and unmount what it mounted inside."""
    _unmount_below(home)
    network.down(system_name)
    cgroups.remove(system_name)
    # Places that nothing can change: the sockets of containers' shims, and two by-products.
    for file in home.glob("containerd-state/io.containerd.runtime.v2.task/k8s.io/*/address"):
        Path(file.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(home):
            link.unlink()
    results = Path("/var/lib/cni/results")
    for result in results.glob(f"{system_name}-*-eth0"):
        sandbox = result.name.removeprefix(f"{system_name}-").removesuffix("-eth0")
        for each in results.glob(f"*-{sandbox}-*"):
            each.unlink()


def _unmount_below(home: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(os.fsdecode(_unescape(line.split()[4]))) for line in mounts]
    below = [str(point) for point in points if point.is_relative_to(home)]
    if below:
        subprocess.run(("umount", *reversed(below)), check=True)


def _unescape(field: str) -> bytes:
    """Undo how the kernel writes blanks and the like: a backslash and three octal digits."""
    return field.encode().decode("unicode_escape").encode("latin-1")
