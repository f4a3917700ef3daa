"""What a token says of itself. Nobody believes it: it is used to refuse early what is no good.

Each token that passes costs a request to the API server, and anybody in the cluster can make up as
many as he likes.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import AUDIENCE

LONGEST = 16 * 1024
"""Characters of a token; those of the kubelet have some 1,200."""
LEEWAY = 60.0
"""Seconds that our clock may be ahead of the one that a token was made by."""
_SEND = "send the projected token of the worker's own pod, read anew for each call: it rotates"

_Name = Annotated[str, Field(min_length=1, max_length=253)]


class _Header(BaseModel):
    alg: str


class _Pod(BaseModel):
    name: _Name
    uid: _Name


class _Bound(BaseModel):
    """What a token of a service account is bound to."""

    namespace: _Name
    pod: _Pod | None = None


class _Claims(BaseModel):
    aud: list[str] | str
    exp: float = Field(allow_inf_nan=False)
    bound: _Bound | None = Field(default=None, alias="kubernetes.io")


@dataclass(frozen=True, slots=True)
class Identity:
    """The pod that a token was made for."""

    namespace: str
    pod: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The pod that a token claims to be made for, and when it claims to end."""

    identity: Identity
    expiry: float


def claim_of(token: str, now: float) -> Claim:
    """Return what a token claims; raises CallRefusedError if it cannot be one of ours.

    Nothing of a token is ever repeated, in no message either.
    """
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != 3 or not all(parts):
        raise _malformed()
    header, body, _ = (_decoded(part) for part in parts)
    try:
        _Header.model_validate_json(header)
        claims = _Claims.model_validate_json(body)
    except ValidationError:
        raise _malformed() from None
    if AUDIENCE not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise CallRefusedError(
            "Unauthenticated", f"the token is not for the audience {AUDIENCE!r}; {_SEND}"
        )
    if claims.exp + LEEWAY <= now:
        raise CallRefusedError("Unauthenticated", f"the token has expired; {_SEND}")
    if claims.bound is None or claims.bound.pod is None:
        raise CallRefusedError("Forbidden", f"the token is not bound to a pod; {_SEND}")
    bound, pod = claims.bound, claims.bound.pod
    return Claim(Identity(bound.namespace, pod.name, pod.uid), claims.exp)


def _decoded(part: str) -> bytes:
    padded = part + "=" * (-len(part) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None


def _malformed() -> CallRefusedError:
    return CallRefusedError("Unauthenticated", f"this is no token of a service account; {_SEND}")
