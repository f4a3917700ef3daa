"""The local cluster itself: what the other tests take for granted of its real node."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, Parts
from tests.cluster.cluster import remove
from tests.cluster.images import archive, image_ref
from tests.cluster.network import BRIDGE
from tests.cluster.process import marked, recorded
from tests.cluster.site import Site, home_of

_CLIENT = """
import os, ssl, urllib.error, urllib.request

def ask(url, token=None):
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    context = ssl.create_default_context(cafile=f"{account}/ca.crt")
    headers = {"Authorization": "Bearer " + open(f"{account}/token").read()} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, context=context, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code

print("service", ask("http://web"))
print("api", ask("https://kubernetes.default.svc/version", token=True))
print("s3", ask(os.environ["S3"]))
"""
_SERVER = (
    "import http.server as s; s.HTTPServer(('', 8000), s.SimpleHTTPRequestHandler).serve_forever()"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"node-{os.getpid()}", Parts.NODE) as cluster:
        cluster.load_image(archive("worker"), image_ref("worker"))
        yield cluster


def run(cluster: Cluster, name: str, script: str, **fields: object) -> None:
    container = {
        "name": "python",
        "image": image_ref("worker"),
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", script],
        **fields,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.kubectl("create", "-f", "-", input=json.dumps(pod))


def output(cluster: Cluster, name: str) -> str:
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("wait", f"pod/{name}", phase, "--timeout=60s")
    return cluster.kubectl("logs", name)


def test_a_pod_reaches_services_by_name_and_the_api_and_s3(cluster: Cluster) -> None:
    run(cluster, "web", _SERVER, readinessProbe={"httpGet": {"port": 8000}, "periodSeconds": 1})
    cluster.kubectl("expose", "pod", "web", "--port=80", "--target-port=8000")
    cluster.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    run(cluster, "client", _CLIENT, env=[{"name": "S3", "value": cluster.s3.endpoint_url}])
    # S3 refuses whoever gives no name: it was reached.
    assert output(cluster, "client").split("\n")[:3] == ["service 200", "api 200", "s3 403"]


def test_the_pods_gateway_keeps_its_address_when_pods_come_and_go(cluster: Cluster) -> None:
    before = gateway_address(cluster)
    for name in ("comes", "goes"):
        run(cluster, name, "pass")
        output(cluster, name)
        assert gateway_address(cluster) == before


def gateway_address(cluster: Cluster) -> str:
    """Return the link-layer address of the bridge that pods are on."""
    shown = ("ip", "-n", cluster.site.system_name, "-json", "link", "show", BRIDGE)
    (link,) = json.loads(subprocess.run(shown, check=True, capture_output=True).stdout)
    return str(link["address"])


@pytest.mark.parametrize("part", ["kubelet", "kube-apiserver", "containerd", "s3"])
def test_a_part_that_crashed_goes_on_after_a_restart(cluster: Cluster, part: str) -> None:
    cluster.processes[part].kill()
    assert cluster.processes[part].pid is None
    cluster.processes[part].restart()
    run(cluster, f"after-{part}", "print('still here')")
    assert output(cluster, f"after-{part}") == "still here\n"


def test_too_much_memory_ends_a_container_and_says_so(cluster: Cluster) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    run(cluster, "greedy", "x = bytearray(500_000_000)", resources=limits)
    cluster.kubectl("wait", "pod/greedy", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    path = "jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    assert cluster.kubectl("get", "pod/greedy", "-o", path) == "OOMKilled"


def test_a_launcher_that_was_killed_leaves_nothing_that_the_next_does_not_remove() -> None:
    name = f"killed-{os.getpid()}"
    code = f"from tests.cluster import *; Cluster.start({name!r}, Parts.NODE)"
    with subprocess.Popen([sys.executable, "-c", code]) as launcher:
        while not recorded(home_of(name)).get("kubelet"):
            assert launcher.poll() is None, "it ended by itself"
            time.sleep(0.01)
        launcher.kill()
    site = Cluster.attach(name).site
    assert remains(site)
    assert remove(name)
    assert remains(site) == []


def test_nothing_is_left_of_a_cluster_that_ran_pods(cluster: Cluster) -> None:
    cluster.stop()
    assert remains(cluster.site) == []


def remains(site: Site) -> list[str]:
    """List what there is of a cluster on the machine."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    places = [
        site.home,
        Path("/run/netns") / site.system_name,
        Path("/sys/class/net") / site.system_name,
        *Path("/sys/fs/cgroup").glob(f"*/{site.system_name}"),
        *Path("/var/lib/cni/results").glob(f"{site.system_name}-*"),
    ]
    return [
        *(f"process {process.pid}" for process in marked(site.home)),
        *(f"mount {line}" for line in mounts if str(site.home) in line),
        *(str(place) for place in places if place.exists()),
    ]
