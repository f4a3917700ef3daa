"""The table of calls: what is sent, what is answered, and what it is for."""

from dataclasses import dataclass

from bec_ops.contract.protocol import (
    PREFIX,
    Accepted,
    Answer,
    Assigned,
    Done,
    Failed,
    Heartbeat,
    HeartbeatAnswer,
    Log,
    Next,
    Register,
    Registered,
    Request,
)

OPENAPI_PATH = "/openapi.json"


@dataclass(frozen=True, slots=True)
class Route:
    """One call: its name, which is the last part of its path, and the models of its bodies."""

    name: str
    request: type[Request]
    answer: type[Answer]
    summary: str

    @property
    def path(self) -> str:
        """The path that it is POSTed to."""
        return f"{PREFIX}/{self.name}"


ROUTES = (
    Route("register", Register, Registered, "Begin, or go on after the operator was away"),
    Route("next", Next, Assigned, "Ask for the next task"),
    Route("heartbeat", Heartbeat, HeartbeatAnswer, "Give a sign of life, and ask what to do"),
    Route("done", Done, Accepted, "Say that the success marker is written"),
    Route("failed", Failed, Accepted, "Say that the attempt has failed, and why"),
    Route("log", Log, Accepted, "Hand over the end of the output, where S3 is out of reach"),
)
