"""Tokens of pods: as the kubelet gets them for its pods, and as nobody should have them."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bec_operator.act.ground.api_server import core
from bec_ops.contract.protocol import AUDIENCE
from tests.support.kube import Body, Kube

_COORDINATE = 32  # bytes of each of the two numbers that a signature is


def pod_token(kube: Kube, pod: Body, audience: str = AUDIENCE) -> str:
    """Return a token that is bound to a pod, as its kubelet would get it."""
    meta = pod["metadata"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    return account_token(kube, meta["namespace"], audience, boundObjectRef=bound)


def account_token(kube: Kube, namespace: str, audience: str = AUDIENCE, **spec: Any) -> str:
    """Return a token of a namespace's default service account."""
    asked = {"spec": {"audiences": [audience], "expirationSeconds": 3600, **spec}}
    path = core(namespace, "serviceaccounts", "default", "token")
    return str(kube.create(path, asked)["status"]["token"])


def resigned(token: str, key: Path | None, **claims: Any) -> str:
    """Return a token with other claims, signed with a key of the cluster; None: with a made one."""
    header, body, _ = token.split(".")
    signed = f"{header}.{_encode(json.dumps({**_decode(body), **claims}).encode())}"
    private = _read(key) if key else ec.generate_private_key(ec.SECP256R1())
    numbers = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = b"".join(number.to_bytes(_COORDINATE, "big") for number in numbers)
    return f"{signed}.{_encode(signature)}"


def _read(key: Path) -> ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


def _decode(part: str) -> Body:
    found: Body = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
