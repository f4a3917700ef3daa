"""The network of a real node: a network namespace of its own, with a bridge for the pods.

Addresses, ports, bridges and packet filter rules of a cluster are inside, so clusters beside each
other, and the machine's own network, never meet; and all of it goes with the namespace. One link
leads in: the machine reaches servers and pods, pods reach nothing but the cluster.
"""

import json
import subprocess

from .cache import replace
from .site import Site

BRIDGE = "cni0"
_BRIDGE_MAC = "02:be:c0:00:00:01"  # administered locally


def up(site: Site) -> None:
    """Make the namespace, the link into it, and the bridge."""
    name = site.system_name
    down(name)
    _ip("netns", "add", name)
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("address", "add", f"{site.host_ip}/30", "dev", name)
    _ip("link", "set", name, "up")
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "address", "add", f"{site.ip}/30", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    # A bridge without an address of its own borrows one from a port: when that pod goes, the
    # others would talk to a gateway that is not there, until they ask for it anew.
    _ip("-n", name, "link", "add", BRIDGE, "address", _BRIDGE_MAC, "type", "bridge")
    _ip("-n", name, "address", "add", f"{site.bridge_ip}/16", "dev", BRIDGE)
    _ip("-n", name, "link", "set", BRIDGE, "up")
    # Whatever leaves for a Service needs a route before kube-proxy's rules can send it elsewhere.
    _ip("-n", name, "route", "add", site.service_range, "dev", BRIDGE)
    _ip("route", "add", site.pod_range, "via", site.ip)
    forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
    _run("nsenter", f"--net=/run/netns/{name}", "sh", "-c", forward)


def down(name: str) -> None:
    """Remove the namespace of that name with all that is in it, if there is one."""
    # First the link: the kernel takes its time over what only goes with a namespace.
    links = json.loads(_run("ip", "-json", "link", "show", "type", "veth") or "[]")
    if name in [each["ifname"] for each in links]:
        _ip("link", "delete", name)
    listed = json.loads(_run("ip", "-json", "netns", "list") or "[]")
    if name in [each["name"] for each in listed]:
        _ip("netns", "delete", name)


def write_plugins(site: Site) -> None:
    """Say how a pod gets its address and its place on the bridge."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": site.pod_range, "gateway": site.bridge_ip}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(site.home / "cni" / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "hairpinMode": True, "ipam": addresses}
    network = {"cniVersion": "0.4.0", "name": site.system_name, "plugins": [bridge]}
    replace(site.home / "cni" / "net.d" / "10-bec.conflist", json.dumps(network))


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
