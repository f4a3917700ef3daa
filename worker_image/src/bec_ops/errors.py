"""For authors of workers: what they raise to say what has happened."""

from bec_ops.contract.errors import (
    Interrupted,
    MisconfiguredError,
    RetryableError,
    TerminalError,
)

__all__ = ["Interrupted", "MisconfiguredError", "RetryableError", "TerminalError"]
