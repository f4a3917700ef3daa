"""The control plane: etcd, the API server, the controller manager and the scheduler."""

from dataclasses import dataclass
from pathlib import Path

from .binaries import binary
from .pki import Authority, Pair
from .process import Spec
from .site import Port, Site

# The default client limits (20 requests a second) would be all that a measurement shows.
_CLIENT_LIMITS = ("--kube-api-qps=2000", "--kube-api-burst=4000")


@dataclass(frozen=True)
class Credentials:
    """Files that prove who the parts of the control plane are."""

    authority: Path
    api: Pair
    to_kubelet: Pair
    service_accounts: Path
    admin: Path
    controller_manager: Path
    scheduler: Path


def credentials(site: Site, authority: Authority) -> Credentials:
    """Issue the control plane's certificates, keys and kubeconfigs."""
    server = site.url(Port.API, scheme="https")
    service = "kubernetes.default.svc"
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local", "localhost")
    addresses = {"127.0.0.1", site.ip, site.api_service_ip}
    return Credentials(
        authority=authority.certificate,
        api=authority.issue("apiserver", "kube-apiserver", (), *names, *sorted(addresses)),
        to_kubelet=authority.issue("apiserver-to-kubelet", "kube-apiserver-to-kubelet"),
        service_accounts=authority.signing_key("service-accounts"),
        admin=authority.kubeconfig(server, "admin", "admin", ("system:masters",)),
        controller_manager=authority.kubeconfig(
            server, "controller-manager", "system:kube-controller-manager"
        ),
        scheduler=authority.kubeconfig(server, "scheduler", "system:kube-scheduler"),
    )


def component(name: str, *arguments: str) -> tuple[str, ...]:
    """Give the command line of a part of Kubernetes."""
    return (str(binary("controlplane")), name, *arguments)


def etcd(site: Site) -> Spec:
    """Keep the cluster's objects; without fsync, since no object outlives the machine."""
    client = f"http://127.0.0.1:{site.port(Port.ETCD)}"
    peer = f"http://127.0.0.1:{site.port(Port.ETCD_PEER)}"
    arguments = (
        "--name=etcd",
        f"--data-dir={site.home / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        # Health and metrics only: who reaches the clients' address has all rights.
        f"--listen-metrics-urls={site.url(Port.ETCD_HEALTH)}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    ready = (site.url(Port.ETCD_HEALTH, "/health"),)
    return Spec(name="etcd", argv=component("etcd", *arguments), ready=ready)


def api_server(site: Site, files: Credentials) -> Spec:
    """Serve the API to the machine and, on a node, to pods."""
    # Endpoints must not be loopback addresses, and without a node nobody asks for them.
    endpoints = "lease" if site.isolated else "none"
    arguments = (
        f"--etcd-servers=http://127.0.0.1:{site.port(Port.ETCD)}",
        f"--bind-address={site.ip}",
        f"--advertise-address={site.ip}",
        f"--secure-port={site.port(Port.API)}",
        f"--endpoint-reconciler-type={endpoints}",
        f"--service-cluster-ip-range={site.service_range}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={files.authority}",
        f"--tls-cert-file={files.api.certificate}",
        f"--tls-private-key-file={files.api.key}",
        f"--kubelet-certificate-authority={files.authority}",
        f"--kubelet-client-certificate={files.to_kubelet.certificate}",
        f"--kubelet-client-key={files.to_kubelet.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={files.service_accounts}",
        f"--service-account-signing-key-file={files.service_accounts}",
    )
    return Spec(
        name="kube-apiserver",
        argv=component("kube-apiserver", *arguments),
        # Right after the start the roles of the system are still being made; this waits for them.
        ready=(site.url(Port.API, "/readyz", "https"),),
        authority=files.authority,
    )


def controller_manager(site: Site, files: Credentials) -> Spec:
    """Run Kubernetes' own controllers: owner references, service accounts, Deployments, Jobs."""
    arguments = (
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={files.service_accounts}",
        f"--root-ca-file={files.authority}",
    )
    port, kubeconfig = Port.CONTROLLER_MANAGER, files.controller_manager
    return _controller("kube-controller-manager", site, files, port, kubeconfig, *arguments)


def scheduler(site: Site, files: Credentials) -> Spec:
    """Bind pods to nodes."""
    return _controller("kube-scheduler", site, files, Port.SCHEDULER, files.scheduler)


def _controller(
    name: str, site: Site, files: Credentials, port: Port, kubeconfig: Path, *arguments: str
) -> Spec:
    """Give what the controller manager and the scheduler share.

    The kubeconfig is given three times so that their metrics can be read by whoever may.
    """
    shared = (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={site.ip}",
        f"--secure-port={site.port(port)}",
        f"--tls-cert-file={files.api.certificate}",
        f"--tls-private-key-file={files.api.key}",
        "--leader-elect=false",
        *_CLIENT_LIMITS,
    )
    return Spec(
        name=name,
        argv=component(name, *shared, *arguments),
        ready=(site.url(port, "/healthz", "https"),),
        authority=files.authority,
    )
