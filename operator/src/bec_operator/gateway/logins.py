"""How workers say who they are whose protocol has no enrolling: by name and token, then by a JWT.

The name is that of an enrolment, the password its token. Nothing is kept: a restart of the operator
logs nobody out, and an enrolment that is taken away does so at once.
"""

import hashlib
import hmac
import re

import jwt

from bec_operator.act.ground.enrolled import Enrolment, Outsider
from bec_operator.gateway.enrolling import Enrolling
from bec_operator.worker_api.callers.refusals import CallRefusedError

_NO = "name or token is wrong, or the enrolment is over; ask the administrator for another"
_AGAIN = "the login is not valid (any more); log in again"
_LEEWAY = 60.0  # seconds that clocks may differ
_LONGEST = 4096  # characters of what may be a login


class Logins:
    """Logins of one protocol, `face`: they are good for no other one.

    `leeway` are the seconds that clocks of clients may be behind, who alone know when to log in
    again.
    """

    def __init__(self, enrolling: Enrolling, face: str, leeway: float = _LEEWAY) -> None:
        self._enrolling = enrolling
        self._face = face
        self._leeway = leeway

    def log_in(self, name: str, token: str, now: float, seconds: float) -> str:
        """Return a JWT that is good for so long; raises CallRefusedError, Unauthenticated."""
        enrolment = self._enrolling.by_name(name)
        known = hashlib.sha256(enrolment.token.encode()).digest() if enrolment else b""
        if not hmac.compare_digest(known, hashlib.sha256(token.encode()).digest()) or not enrolment:
            raise CallRefusedError("Unauthenticated", _NO)
        claims = {"sub": enrolment.name, "aud": self._face, "iat": now, "exp": now + seconds}
        return jwt.encode(claims, self._key(enrolment), "HS256", {"kid": enrolment.name})

    def whose(self, login: str) -> Enrolment:
        """Return the enrolment of a login; raises CallRefusedError, Unauthenticated."""
        try:
            if len(login) > _LONGEST:
                raise jwt.InvalidTokenError
            name = jwt.get_unverified_header(login).get("kid", "")
            enrolment = self._enrolling.by_name(str(name))
            if enrolment is None:
                raise jwt.InvalidTokenError
            jwt.decode(
                login,
                self._key(enrolment),
                ["HS256"],
                audience=self._face,
                leeway=self._leeway,
                options={"require": ["exp", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError):  # nothing of it is told: it may be a secret
            raise CallRefusedError("Unauthenticated", _AGAIN) from None
        return enrolment

    def _key(self, enrolment: Enrolment) -> bytes:
        return hmac.digest(enrolment.token.encode(), f"login {self._face}".encode(), "sha256")


def visitor(enrolment: Enrolment, who: str) -> Outsider:
    """Return the worker that calls itself `who`, any text, among those of an enrolment."""
    digest = hashlib.sha256(who.encode()).hexdigest()[:12]
    name = re.sub(r"[^0-9A-Za-z._-]+", "-", who).strip("-._")[:40] or "worker"
    return Outsider(f"{enrolment.name}.{digest}", name, enrolment.name, enrolment.scope)
