"""A small certificate authority: who is who in a cluster."""

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .cache import replace

_VALID = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs the certificates of one cluster, and writes kubeconfigs that hold them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bec-local-cluster")])
        usage = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "ca.crt"
        replace(self.certificate, _pem(certificate))

    def issue(self, file: str, user: str, groups: tuple[str, ...] = (), *hosts: str) -> Pair:
        """Sign a certificate for a client, and with `hosts` (names or addresses) for a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
            + [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        )
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * bool(hosts)
        builder = _builder(subject, self._name, key.public_key()).add_extension(
            x509.ExtendedKeyUsage(usage), critical=False
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        pair = Pair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        replace(pair.certificate, _pem(builder.sign(self._key, hashes.SHA256())))
        replace(pair.key, _private(key))
        return pair

    def signing_key(self, file: str) -> Path:
        """Make a private key that signs service account tokens."""
        path = self._folder / f"{file}.key"
        replace(path, _private(ec.generate_private_key(ec.SECP256R1())))
        return path

    def kubeconfig(self, server: str, file: str, user: str, groups: tuple[str, ...] = ()) -> Path:
        """Write the kubeconfig of `user`, complete in itself, for the API server at `server`."""
        pair = self.issue(file, user, groups)
        path = self._folder / f"{file}.kubeconfig"
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bec",
            "contexts": [{"name": "bec", "context": {"cluster": "bec", "user": user}}],
            "clusters": [
                {
                    "name": "bec",
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": _base64(self.certificate),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(pair.certificate),
                        "client-key-data": _base64(pair.key),
                    },
                }
            ],
        }
        replace(path, yaml.safe_dump(data))
        return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A clock that is set back a little must not make the certificate one of the future.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,  # which Kubernetes takes for public, too
        serialization.NoEncryption(),
    ).decode()


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
