"""Handlers: functions that do one volume, and nothing else.

    from bec_ops import worker

    @worker.job("ocr", parameters=OcrParameters)
    def ocr(task, parameters):
        for page in task.track(pages):
            task.write(f"{page}.txt", read(page))
        return Found(pages=len(pages))  # a model of pydantic's, or nothing

    if __name__ == "__main__":
        worker.main()

A model is loaded once a process by a function of its own under `functools.cache`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.faults import explain
from bec_ops.contract.task import Assignment
from bec_ops.running_task import RunningTask
from bec_ops.runtime.attempt import Attempt
from bec_ops.runtime.running import DoVolume, Prepare, end_process, run_tasks

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class Handler:
    """A function and the model of its parameters; None if it takes none."""

    name: str
    function: Callable[..., object]
    parameters: type[BaseModel] | None

    def prepare(self, task: Assignment) -> DoVolume:
        """Check the parameters, and return what does a volume with them."""
        given = (self.parameters_of(task),) if self.parameters else ()

        def do(attempt: Attempt) -> None:
            returned = self.function(RunningTask(attempt), *given)
            if attempt.stop.seen:  # it may have returned early for that
                attempt.stop.check()
            if isinstance(returned, BaseModel):
                attempt.add_result(returned)
            elif returned is not None:
                kind = type(returned).__name__
                raise MisconfiguredError(
                    f"handler {self.name!r} has returned {kind}: return a pydantic model, whose "
                    "fields become the result, or nothing"
                )

        return do

    def parameters_of(self, task: Assignment) -> BaseModel:
        """Validate the job's parameters; raises MisconfiguredError with each wrong field."""
        assert self.parameters is not None
        try:
            return self.parameters.model_validate(task.parameters)
        except ValidationError as error:
            wrong = explain(error)
            raise MisconfiguredError(f"parameters of handler {self.name!r}: {wrong}") from None


class Handlers:
    """The handlers of an image, by their names."""

    def __init__(self) -> None:
        self._known: dict[str, Handler] = {}

    def job(self, name: str, parameters: type[BaseModel] | None = None) -> Callable[[F], F]:
        """Make a function a handler, called with the task and, if it has a model, parameters.

        Raises ValueError for a name that is taken, TypeError for a function that cannot be called
        so.
        """
        if not name or name in self._known:
            raise ValueError(f"there is a handler {name!r} already: give each a name of its own")

        def add(function: F) -> F:
            handler = Handler(name, function, parameters)
            _check_signature(handler)
            self._known[name] = handler
            return function

        return add

    def choose(self, name: str) -> Handler:
        """Return the handler of that very name; the only one if none is named."""
        listed = ", ".join(sorted(self._known)) or 'none: decorate one with @worker.job("…")'
        if not name and len(self._known) == 1:
            return next(iter(self._known.values()))
        if name not in self._known:
            what = f"there is no handler {name!r}" if name else "the job names no handler"
            raise MisconfiguredError(f"{what}; this image has {listed}")
        return self._known[name]

    def prepare(self, task: Assignment) -> DoVolume:
        """Choose the task's handler, and check its parameters."""
        return self.choose(task.handler).prepare(task)

    def names(self) -> tuple[str, ...]:
        """Return the names of all that there are."""
        return tuple(sorted(self._known))


_handlers = Handlers()
job = _handlers.job
prepare: Prepare = _handlers.prepare
names = _handlers.names


def run() -> int:
    """Do the tasks of this worker, and return the exit code."""
    return run_tasks(prepare)


def main() -> None:
    """Do the tasks of this worker, and end the process."""
    end_process(run())


def _check_signature(handler: Handler) -> None:
    """Find out at import what would otherwise fail with the first volume."""
    arguments = 2 if handler.parameters else 1
    try:
        inspect.signature(handler.function).bind(*range(arguments))
    except TypeError:
        wanted = "(task, parameters)" if handler.parameters else "(task)"
        raise TypeError(f"the handler {handler.name!r} is called with {wanted}") from None
