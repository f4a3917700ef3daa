"""Why a connection is of no use now."""

UNKNOWN = "ConnectionUnknown"
FORBIDDEN = "ConnectionForbidden"
UNAVAILABLE = "ConnectionUnavailable"
QUERY_REFUSED = "QueryRefused"  # the server has understood, and will say so again


class ConnectionTrouble(Exception):  # noqa: N818 - what goes wrong is mostly on the other side
    """A connection may not be used, or gives no answer: a reason, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def unknown(self) -> bool:
        """Whether the other side gave no answer, so that nothing at all is known of what it has."""
        return self.reason == UNAVAILABLE
