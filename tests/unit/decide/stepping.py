"""Runs coroutines without an event loop, one request at a time, so that each can be cut anywhere.

A request has two halves: it is carried out, and its answer arrives. Between them, or before the
first, the process may die, or the answer may be an error.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

Errors = Callable[[], Exception]


class Call:
    """One request to the outside world, on which a coroutine waits."""

    def __init__(self, do: Callable[[], Any], lost: Errors) -> None:
        self._do = do
        self.lost = lost  # what the caller gets where no answer comes
        self.carried_out = False
        self.answer: Any = None
        self.error: Exception | None = None

    def carry_out(self) -> None:
        """Let it happen, once; the answer is kept."""
        if self.carried_out:
            return
        self.carried_out = True
        try:
            self.answer = self._do()
        except AssertionError:
            raise  # a broken rule, not an answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller judges it
            self.error = error

    def __await__(self) -> Generator["Call", Any, Any]:
        return (yield self)


class Doing:
    """A coroutine that has been begun, stopped at its next request."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], label: str = "") -> None:
        self._coroutine = coroutine
        self.label = label
        self.call: Call | None = None
        self._resume(partial(coroutine.send, None))

    def add_done_callback(self, _: Callable[[Any], object]) -> None:
        """Nobody waits for the end of it."""

    def get_answer(self) -> None:
        """Let the answer arrive, and go on to the next request or to the end."""
        assert self.call is not None
        self.call.carry_out()
        if self.call.error is not None:
            self._resume(partial(self._coroutine.throw, self.call.error))
        else:
            self._resume(partial(self._coroutine.send, self.call.answer))

    def lose_answer(self) -> None:
        """Let the answer, or the request if it was not carried out, be lost on its way."""
        assert self.call is not None
        self._resume(partial(self._coroutine.throw, self.call.lost()))

    def die(self) -> None:
        """End with the process."""
        self._coroutine.close()

    def _resume(self, resume: Callable[[], Any]) -> None:
        try:
            self.call = resume()
        except StopIteration:
            self.call = None


class Loop:
    """Hands out the tasks that are begun; the work of a thread is done at once, or is a request."""

    def __init__(self, lost: Errors) -> None:
        self.begun: list[Doing] = []
        self._lost = lost

    def create_task(self, coro: Any, **_: Any) -> Any:
        """Begin a coroutine, up to its first request."""
        doing = Doing(coro, _label(coro))
        if doing.call is not None:
            self.begun.append(doing)
        return doing

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Make a request of what would run in a thread; computing alone is done at once."""
        call = Call(partial(func, *args), self._lost)
        return _at_once(call) if executor is None else call

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the loop that code finds running."""
        asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", self))
        try:
            yield
        finally:
            asyncio._set_running_loop(None)


def run_through(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine to its end, with every answer arriving."""
    doing = Doing(coroutine)
    while doing.call is not None:
        doing.get_answer()


async def _at_once(call: Call) -> Any:
    call.carry_out()
    if call.error is not None:
        raise call.error
    return call.answer


def _label(coroutine: Any) -> str:
    return repr(coroutine.cr_frame.f_locals.get("action", coroutine.__name__))
