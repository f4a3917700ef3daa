"""What workers and the operator say to each other: the worker API, version 1.

Every request but the first names the session that `register` gave, and a report names the task
and attempt that it is about. A field that one side does not know is passed over, so that operators
and workers of different versions go together.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bec_ops.contract.task import Task

PREFIX = "/v1"
AUDIENCE = "bec.bdrc.io"
"""The audience of the projected token that proves which pod is calling."""
LOG_BYTES = 64 * 1024
"""How much of the end of an attempt's output is kept."""
MESSAGE_CHARACTERS = 1024
"""How much of a sentence about a failure is kept."""
BIGGEST = 2**53
"""The biggest number that is counted to: what every reader of JSON reads as it was written."""
_NAME_CHARACTERS = 256  # of a session or a UID, which are repeated in sentences

_JobName = Annotated[str, Field(min_length=1, max_length=507)]
_Handler = Annotated[str, Field(max_length=_NAME_CHARACTERS)]

ReportedClass = Literal["Retryable", "Terminal", "Misconfigured", "OutOfMemory", "Interrupted"]
"""The failure classes that a worker can tell of itself."""


class Request(BaseModel):
    """What a worker sends."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Answer(BaseModel):
    """What the operator answers."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Progress(Request):
    """How far a task is, such as 312 of 480 pages."""

    done: int = Field(ge=0, le=BIGGEST)
    total: int | None = Field(default=None, ge=0, le=BIGGEST)
    unit: str = Field(default="items", min_length=1, max_length=32)

    @property
    def share(self) -> float:
        """How much of the work is done, from 0 to 1; 0 where the total is not known."""
        if self.total is None or self.total <= 0 or self.done <= 0:
            return 0.0
        # A quotient above 1 may be more than a float holds.
        return 1.0 if self.done >= self.total else self.done / self.total

    def __str__(self) -> str:
        """Return it as people read it: `312/480 pages`."""
        of = "" if self.total is None else f"/{self.total}"
        return f"{self.done}{of} {self.unit}"


class Register(Request):
    """The first call of a process; doing it again changes nothing."""

    process: str = Field(
        pattern=r"^[0-9a-f]{32}$", description="Random, chosen once by the process"
    )
    seat: str = Field(
        default="",
        pattern=r"^[0-9A-Za-z._-]{0,64}$",
        description="From elsewhere: which of its seats, where a worker does several tasks at once",
    )


class Registered(Answer):
    """The name of the worker, and the session that its further calls belong to."""

    session: str
    worker_id: str
    heartbeat_seconds: float = Field(description="Time between two heartbeats")


class Next(Request):
    """Asks for the next task, and waits for one for at most `wait` seconds."""

    session: str = Field(max_length=_NAME_CHARACTERS)
    wait: float = Field(default=0.0, ge=0, le=60)
    jobs: tuple[_JobName, ...] = Field(
        default=(),
        max_length=100,
        description="From elsewhere: of these Jobs, `name` or `namespace/name`; else of any",
    )
    handlers: tuple[_Handler, ...] = Field(
        default=(),
        max_length=100,
        description='From elsewhere: the handlers that it has; "": for Jobs that name none',
    )
    site: str = Field(default="", max_length=128, description="From elsewhere: where it is")
    beats: bool = Field(
        default=True, description="From elsewhere: it gives signs of life while it works"
    )


class Assigned(Answer):
    """The next task; without one, `over` tells whether there will never be another."""

    task: Task | None = None
    over: bool = False
    job: str = Field(default="", description="From elsewhere: the Job, `namespace/name`")
    lease_seconds: float | None = Field(
        default=None,
        description="From elsewhere: how long its silence may last before the task is another's",
    )


class AboutAttempt(Request):
    """A call about one attempt at one task."""

    session: str = Field(max_length=_NAME_CHARACTERS)
    task_uid: str = Field(min_length=1, max_length=_NAME_CHARACTERS)
    attempt: int = Field(ge=1, le=BIGGEST)


class Heartbeat(AboutAttempt):
    """A sign of life. Only a change of `progress` or `activity` is a sign of progress."""

    progress: Progress | None = None
    activity: int = Field(
        default=0, ge=0, le=BIGGEST, description="Grows with whatever the work brings forth"
    )


class Directive(StrEnum):
    """What a worker is to do."""

    CONTINUE = "continue"
    FINISH = "finish"  # this task, and ask for no other
    ABORT = "abort"  # now


class HeartbeatAnswer(Answer):
    """What the worker is to do, and why."""

    directive: Directive = Directive.CONTINUE
    reason: str = ""


class Done(AboutAttempt):
    """The marker is written."""


class Failed(AboutAttempt):
    """The attempt has failed."""

    failure: ReportedClass
    message: str = Field(default="", max_length=MESSAGE_CHARACTERS)
    exit_code: int | None = Field(
        default=None,
        ge=0,
        le=255,
        description="Of the program that did the work, where that is to speak for itself",
    )


class Log(AboutAttempt):
    """The end of what the attempt has printed, from a worker that cannot store it itself."""

    text: str = Field(max_length=LOG_BYTES)


class Enrol(Request):
    """From elsewhere: takes a worker in, by a token of the administrator.

    The worker makes up its secret, so it may ask again if it got no answer: it stays the same one.
    """

    token: str = Field(min_length=1, max_length=_NAME_CHARACTERS)
    secret: str = Field(
        pattern=r"^[0-9A-Za-z_-]{43,128}$", description="Random, made by the worker, kept by it"
    )
    name: str = Field(
        default="", max_length=63, pattern=r"^[0-9A-Za-z._-]*$", description="For people"
    )


class Enrolled(Answer):
    """The id by which, with its secret, the worker is known from now on: HTTP Basic."""

    worker_id: str


class Mine(Request):
    """From elsewhere: asks which tasks the worker has, in all of its seats."""


class Held(Answer):
    """A task that the worker has."""

    job: str
    seat: str
    session: str
    task: Task


class Holds(Answer):
    """The tasks that the worker has."""

    held: tuple[Held, ...] = ()


class Accepted(Answer):
    """The report counts."""


class Refusal(Answer):
    """Why a request is refused, with a word for programs and a sentence for people."""

    error: Literal[
        "Unauthenticated",  # 401: no token, or one that is not valid (any more)
        "Forbidden",  # 403: a token of something that is not a worker of ours
        "Gone",  # 410: the task or its attempt is over, or not this pod's: do not ask again
        "UnknownSession",  # 409: register again
        "StaleSession",  # 409: another process of this pod has registered since: end
        "Invalid",  # 400: the body; the sentence says what is wrong with it
        "TooMany",  # 429: more calls than one pod has any use for: wait as Retry-After says
        "Unavailable",  # 503: try again later
    ]
    message: str


class TerminationMessage(BaseModel):
    """What a worker writes to /dev/termination-log before it ends with a failure."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    failure: ReportedClass = Field(alias="class")
    message: str = ""
