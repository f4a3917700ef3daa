"""What workers and operator share: volume, output location, success marker, store.

For authors of workers: the BEC ops functions, `worker` for handlers, and the errors that say what
is meant. They are loaded when they are first used: the operator needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bec_ops.contract.errors import (
        Interrupted,
        MisconfiguredError,
        RetryableError,
        TerminalError,
    )
    from bec_ops.functions import (
        get_next_task,
        get_output_info,
        get_worker_id,
        heartbeat,
        is_successfully_done,
        item_done,
        no_tasks_left,
        register,
        set_total,
        task_done,
    )

__all__ = [
    "Interrupted",
    "MisconfiguredError",
    "RetryableError",
    "TerminalError",
    "get_next_task",
    "get_output_info",
    "get_worker_id",
    "heartbeat",
    "is_successfully_done",
    "item_done",
    "no_tasks_left",
    "register",
    "set_total",
    "task_done",
]
_ERRORS = {"Interrupted", "MisconfiguredError", "RetryableError", "TerminalError"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module("bec_ops.contract.errors" if name in _ERRORS else "bec_ops.functions")
    return getattr(module, name)
