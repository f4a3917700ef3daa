"""What a worker's errors mean, and what is told of them."""

import json

import pytest

from bec_ops.contract.errors import (
    Failure,
    Interrupted,
    MisconfiguredError,
    ProgramError,
    RetryableError,
    TerminalError,
)
from bec_ops.contract.protocol import MESSAGE_CHARACTERS, TerminationMessage
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.task import TaskError


@pytest.mark.parametrize(
    ("error", "failure", "message", "code"),
    [
        (RetryableError("later"), "Retryable", "later", 75),
        (TerminalError("no pages"), "Terminal", "no pages", 65),
        (TerminalError(), "Terminal", "TerminalError", 65),
        (MisconfiguredError("no such model"), "Misconfigured", "no such model", 78),
        (ProgramError("x ended with 64", 64), "Retryable", "x ended with 64", 64),
        (MemoryError(), "OutOfMemory", "Python has no memory left", 137),
        (Interrupted("got SIGTERM"), "Interrupted", "got SIGTERM", 143),
        (TaskError("BEC_W_ID is not set"), "Misconfigured", "BEC_W_ID is not set", 78),
        (StoreError("Forbidden", "no access"), "Retryable", "StoreError: no access", 75),
        (KeyError("x"), "Retryable", "KeyError: 'x'", 75),
        (AssertionError(), "Retryable", "AssertionError", 75),
        (SystemExit(65), "Terminal", "the worker ended with exit code 65", 65),
        (SystemExit(64), "Misconfigured", "the worker ended with exit code 64", 78),
        (SystemExit(3), "Retryable", "the worker ended with exit code 3", 75),
        (SystemExit("sorry"), "Retryable", "sorry", 75),
        (SystemExit(None), "Retryable", "the worker ended with exit code 0", 75),
        (SystemExit(137), "Retryable", "the worker ended with exit code 137", 75),
    ],
)
def test_every_error_has_a_class(
    error: BaseException, failure: str, message: str, code: int
) -> None:
    found = Failure.of(error)
    assert (found.failure, found.message, found.exit_code) == (failure, message, code)


def test_an_interruption_is_not_caught_by_accident_and_ends_with_143() -> None:
    error = Interrupted("told to")
    assert not isinstance(error, Exception)
    assert isinstance(error, SystemExit)
    assert (error.code, str(error)) == (143, "told to")


def test_the_exit_code_of_another_program_is_no_word_of_ours() -> None:
    told = Failure.of(ProgramError("x ended with exit code 78", 78)).termination_message()
    assert told == "x ended with exit code 78"


def test_of_a_long_message_the_end_is_told() -> None:
    failure = Failure("Retryable", "x" * 5000 + "ཀ the cause")
    told = failure.termination_message()
    assert len(told.encode()) < 4096  # what the kubelet takes
    read = TerminationMessage.model_validate_json(told)
    assert read.failure == json.loads(told)["class"] == "Retryable"
    assert read.message == failure.short_message
    assert len(read.message) == MESSAGE_CHARACTERS
    assert read.message.startswith("…x")
    assert read.message.endswith("ཀ the cause")
    assert "no \ud800" not in Failure("Retryable", "no \ud800").termination_message()
    assert len(Failure("Retryable", "ཀ" * 5000).termination_message().encode()) < 4096
