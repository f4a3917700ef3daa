"""Refusals: a word for programs, a sentence for people, and the HTTP status that goes with it."""

from typing import Literal

from bec_ops.contract.protocol import Refusal

Word = Literal[
    "Unauthenticated",
    "Forbidden",
    "Gone",
    "UnknownSession",
    "StaleSession",
    "Invalid",
    "TooMany",
    "Unavailable",
]

STATUS: dict[Word, int] = {
    "Invalid": 400,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "UnknownSession": 409,
    "StaleSession": 409,
    "Gone": 410,
    "TooMany": 429,
    "Unavailable": 503,
}


class CallRefusedError(Exception):
    """A call that is refused; `status` is HTTP's, by default the one that the word stands for.

    `retry_after` are the seconds after which it may be made again, where that is known.
    """

    def __init__(
        self,
        word: Word,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{word}: {message}")
        self.word = word
        self.message = message
        self.status = status or STATUS[word]
        self.retry_after = retry_after

    @property
    def body(self) -> Refusal:
        """What the caller is told."""
        return Refusal(error=self.word, message=self.message)
