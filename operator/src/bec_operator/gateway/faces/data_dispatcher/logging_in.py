"""Says who calls: by a login, which a worker gets for the name and the token of an enrolment."""

from aiohttp import web

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.gateway.faces.data_dispatcher.answers import as_text
from bec_operator.gateway.faces.data_dispatcher.names import FACE
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.guesses import Guesses
from bec_operator.gateway.logins import Logins
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.incoming import sent_with

TOKEN_HEADER = "X-Authentication-Token"  # noqa: S105 - a name
_LOGIN_SECONDS = 7 * 86400.0  # a worker cannot log in again: a volume may take it half a day
_METHODS = "log in by password or token: method=ldap or method=token"


class LoggingIn:
    """Answers logins. `own` names the enrolment of those who have none; empty: they are refused."""

    def __init__(self, gateway: Gateway, own: str) -> None:
        self._clock = gateway.ctx.clock
        self._enrolling = gateway.enrolling
        self._logins = Logins(gateway.enrolling, FACE)
        self._guesses = Guesses()
        self._own = own

    def who(self, request: web.Request) -> Enrolment:
        """Return the enrolment of a request; raises CallRefusedError, Unauthenticated."""
        login = request.headers.get(TOKEN_HEADER)
        if login is not None:
            return self._logins.whose(login)
        enrolment = self._enrolling.by_name(self._own) if self._own else None
        if enrolment is None:
            raise CallRefusedError(
                "Unauthenticated",
                f"the header {TOKEN_HEADER} is missing: log in by `ddisp login -m password NAME`, "
                "NAME being that of an enrolment, and see that the server's URL is the same one, "
                "to the letter",
            )
        return enrolment

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Answer a name and a token with a login, in a header."""
        with self._guesses.of(request.remote or "", self._clock.now()):
            name, token = await self._credentials(request)
            login = self._logins.log_in(name, token, self._clock.now(), _LOGIN_SECONDS)
        answer = as_text("")
        answer.headers[TOKEN_HEADER] = login
        return answer

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Say whether a login is good."""
        self.who(request)
        return as_text("")

    async def refuse(self, request: web.Request) -> web.StreamResponse:
        """Refuse other ways to log in. The client gets here once its password was refused, too."""
        del request
        raise CallRefusedError(
            "Unauthenticated",
            f"name or token is wrong, or this way to log in is not known here: {_METHODS}",
        )

    async def _credentials(self, request: web.Request) -> tuple[str, str]:
        method = request.query.get("method")
        if method == "ldap":
            body = (await sent_with(request)).decode(errors="replace")
            name, _, token = body.partition(":")
            return name, token
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if method == "token" and scheme.lower() == "bearer":
            return request.query.get("username", ""), token.strip()
        raise CallRefusedError("Invalid", _METHODS)
