"""The cluster's authority signs what clients then accept, and no more."""

import base64
import ipaddress
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tests.cluster.pki import Authority


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_server_is_trusted_under_its_addresses_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = load(authority.issue("server", "any", (), "localhost", "127.0.0.1").certificate)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]

    server.verify_directly_issued_by(load(authority.certificate))
    stranger = Authority(tmp_path / "other")
    with pytest.raises(InvalidSignature):
        server.verify_directly_issued_by(load(stranger.certificate))


def test_a_kubeconfig_holds_a_certificate_with_user_and_groups(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = authority.kubeconfig("https://127.0.0.1:1", "me", "jane", ("readers",))
    user = yaml.safe_load(path.read_text())["users"][0]["user"]
    pem = base64.b64decode(user["client-certificate-data"])
    assert x509.load_pem_x509_certificate(pem).subject.rfc4514_string() == "CN=jane,O=readers"
    assert path.stat().st_mode & 0o077 == 0
