"""What a worker can say about why it failed, and what each saying ends the process with."""

from dataclasses import dataclass
from typing import ClassVar

from bec_ops.exit_codes import ExitCode
from bec_ops.protocol import MESSAGE_CHARACTERS, ReportedClass, TerminationMessage
from bec_ops.task import TaskError

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


class RetryableError(WorkerError):
    """Another attempt may succeed. So may it after any exception that is none of these."""


class TerminalError(WorkerError):
    """No attempt at this volume can succeed."""

    failure = "Terminal"


class MisconfiguredError(WorkerError):
    """No volume of this job can succeed until somebody changes the job or the image."""

    failure = "Misconfigured"


class MemoryExhaustedError(WorkerError):
    """The attempt needs more memory than its container may have."""

    failure = "OutOfMemory"


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

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Sort what a worker's code raised; what nobody thought of is retryable."""
        match error:
            case WorkerError():
                return cls(error.failure, str(error) or type(error).__name__)
            case TaskError():
                return cls("Misconfigured", str(error))
            case Interrupted():
                return cls("Interrupted", error.reason)
            case MemoryError():
                return cls("OutOfMemory", f"Python has no memory left: {error}".rstrip(": "))
            case SystemExit():
                code = error.code or 0
                return cls.of_exit(code if isinstance(code, int) else 1, "the worker")
        said = str(error)
        return cls("Retryable", f"{type(error).__name__}: {said}" if said else type(error).__name__)

    @classmethod
    def of_exit(cls, code: int, who: str) -> "Failure":
        """Read the exit code of a program, or what was given to `sys.exit`."""
        return cls(_CLASSES.get(code, "Retryable"), f"{who} ended with exit code {code}")

    @property
    def exit_code(self) -> int:
        """What the process is to end with."""
        return EXIT_CODES[self.failure]

    @property
    def short_message(self) -> str:
        """As much of the message as a report has room for: its end, where the cause stands."""
        if len(self.message) <= MESSAGE_CHARACTERS:
            return self.message
        return "…" + self.message[1 - MESSAGE_CHARACTERS :]

    def termination_message(self) -> str:
        """Return what the kubelet is to pass on."""
        told = TerminationMessage(failure=self.failure, message=self.short_message)
        return told.model_dump_json(by_alias=True)
