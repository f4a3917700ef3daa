"""Tokens of the form of the kubelet's, signed by nobody: who reads their claims can use them."""

import base64
import json
from typing import Any

from bec_operator.worker_api.callers.claims import Identity
from bec_ops.contract.protocol import AUDIENCE

A_POD = Identity("texts", "a-1", "uid-a")
SIGNATURE = "c2VjcmV0"


def encoded(part: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


HEADER = encoded(b'{"alg": "RS256", "kid": "k"}')


def bound_to(identity: Identity) -> dict[str, Any]:
    """Return what a token of a pod says that it is bound to."""
    pod = {"name": identity.pod, "uid": identity.uid}
    return {"namespace": identity.namespace, "pod": pod, "serviceaccount": {"name": "default"}}


def made_token(expiry: float, identity: Identity = A_POD, **claims: Any) -> str:
    """Return a token of a pod; `claims` come in place of the usual."""
    usual = {"aud": [AUDIENCE], "exp": expiry, "kubernetes.io": bound_to(identity)}
    body = encoded(json.dumps({**usual, **claims}).encode())
    return f"{HEADER}.{body}.{SIGNATURE}"
