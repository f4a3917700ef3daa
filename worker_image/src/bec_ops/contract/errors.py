"""What a worker can say about why it failed, and what each saying ends the process with."""

from dataclasses import dataclass
from typing import ClassVar

from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.protocol import MESSAGE_CHARACTERS, ReportedClass, TerminationMessage
from bec_ops.contract.task import TaskError

EXIT_CODES: dict[ReportedClass, ExitCode] = {
    "Retryable": ExitCode.RETRYABLE,
    "Terminal": ExitCode.TERMINAL,
    "Misconfigured": ExitCode.MISCONFIGURED,
    "OutOfMemory": ExitCode.KILLED,
    "Interrupted": ExitCode.INTERRUPTED,
}
# Being killed is not among them: by whom and why the code alone does not tell.
_CLASSES: dict[int, ReportedClass] = {
    ExitCode.RETRYABLE: "Retryable",
    ExitCode.TERMINAL: "Terminal",
    ExitCode.MISCONFIGURED: "Misconfigured",
    ExitCode.USAGE: "Misconfigured",
    ExitCode.INTERRUPTED: "Interrupted",
}


class WorkerError(Exception):
    """A failure that says itself what is to become of the task."""

    failure: ClassVar[ReportedClass] = "Retryable"
    passed_on: int | None = None
    """The exit code of another program, where that is to speak for itself."""


class RetryableError(WorkerError):
    """Another attempt may succeed. So may it after any exception that is none of these."""


class MissingArtefactsError(RetryableError):
    """The work has ended well, and what the job expects of it is not there."""


class TerminalError(WorkerError):
    """No attempt at this volume can succeed."""

    failure = "Terminal"


class MisconfiguredError(WorkerError):
    """No volume of this job can succeed until somebody changes the job or the image."""

    failure = "Misconfigured"


class ProgramError(RetryableError):
    """A program that is not ours says by its exit code that the job is set up wrongly.

    That is passed on as it is, and not as a word of ours: many tools end with such codes for
    reasons of their own. The operator believes it when several volumes say so.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.passed_on = code


class Interrupted(SystemExit):
    """The worker is to stop, and the work under way is given up.

    No `except Exception` catches it. Where nothing does, the process ends with 143.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(int(ExitCode.INTERRUPTED))
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Failure:
    """How an attempt failed."""

    failure: ReportedClass
    message: str
    passed_on: int | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Sort what a worker's code raised; what nobody thought of is retryable."""
        said = str(error)
        match error:
            case WorkerError():
                return cls(error.failure, said or type(error).__name__, error.passed_on)
            case TaskError():
                return cls("Misconfigured", said)
            case Interrupted():
                return cls("Interrupted", said)
            case MemoryError():
                return cls("OutOfMemory", f"Python has no memory left: {said}".rstrip(": "))
            case SystemExit():
                return cls._of_sys_exit(error.code)
        return cls("Retryable", f"{type(error).__name__}: {said}" if said else type(error).__name__)

    @classmethod
    def of_exit(cls, code: int, who: str) -> "Failure":
        """Read an exit code."""
        return cls(_CLASSES.get(code, "Retryable"), f"{who} ended with exit code {code}")

    @classmethod
    def _of_sys_exit(cls, given: object) -> "Failure":
        """Read what was given to `sys.exit`: a code, nothing, or what went wrong."""
        if given is None or isinstance(given, int):
            return cls.of_exit(given or 0, "the worker")
        return cls("Retryable", str(given))

    @property
    def exit_code(self) -> int:
        """What the process is to end with."""
        return EXIT_CODES[self.failure] if self.passed_on is None else self.passed_on

    @property
    def short_message(self) -> str:
        """As much of the message as a report has room for: its end, where the cause stands."""
        message = in_utf8(self.message)
        if len(message) <= MESSAGE_CHARACTERS:
            return message
        return "…" + message[1 - MESSAGE_CHARACTERS :]

    def termination_message(self) -> str:
        """Return what the kubelet is to pass on: where the exit code says it, a mere sentence."""
        if self.passed_on is not None:
            return self.short_message
        told = TerminationMessage(failure=self.failure, message=self.short_message)
        return told.model_dump_json(by_alias=True)


def in_utf8(text: str) -> str:
    """Return a text that can be written in UTF-8: names of files may hold what cannot."""
    return text.encode("utf-8", "replace").decode()
