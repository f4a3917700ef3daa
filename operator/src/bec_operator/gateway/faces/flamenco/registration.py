"""Flamenco Workers that come in: by a JWT that they sign with the token of an enrolment."""

import re

import jwt
from aiohttp import web

from bec_operator.gateway.enrolling import Enrolling
from bec_operator.worker_api.callers.refusals import CallRefusedError

_LEEWAY = 60.0  # seconds that clocks may differ
_LONGEST = 4096  # characters of what may be a JWT
_SIGN = (
    "sign the registration: set worker_registration_secret to the token of an enrolment; if it "
    "is, that is over, or the clocks differ by more than a quarter of an hour"
)


def token_of(request: web.Request, enrolling: Enrolling, anybody: str) -> str:
    """Return the token of the enrolment by which a worker comes in; raises CallRefusedError.

    `anybody` names that of workers that sign nothing, if there is one.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if not given:
        enrolment = enrolling.by_name(anybody) if anybody else None
        if enrolment is None:
            raise CallRefusedError("Unauthenticated", _SIGN)
        return enrolment.token
    signed = [each.token for each in enrolling.enrolments() if _has_signed(given, each.token)]
    if scheme.lower() != "bearer" or not signed:
        raise CallRefusedError("Unauthenticated", _SIGN)
    return enrolling.by_token(signed[0]).token


def _has_signed(given: str, token: str) -> bool:
    """Whether a JWT that holds now was signed with a token, of an enrolment that is all right."""
    if not token or len(given) > _LONGEST:
        return False
    try:
        jwt.decode(given, token, ["HS256"], leeway=_LEEWAY, options={"require": ["exp"]})
    except (jwt.PyJWTError, ValueError, OverflowError):  # nothing of it is told: it may be a secret
        return False
    return True


def name_of(nickname: str) -> str:
    """Return the name of a worker, for people, in letters that an enrolled one may have."""
    return re.sub(r"[^0-9A-Za-z._-]+", "-", nickname).strip("-._")[:63]
