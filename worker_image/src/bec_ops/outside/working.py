"""The process of a worker from elsewhere: from its configuration to the exit code."""

import logging
import os
import platform
import re
import time
from collections.abc import Callable

from bec_ops.contract.errors import Failure, MisconfiguredError
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.s3.store import StoreSettings
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.stopping import Stop, signals_stop
from bec_ops.outside.client import Seat, enrol
from bec_ops.outside.configuration import PREFIX
from bec_ops.outside.identity import Identity, StateFolder
from bec_ops.outside.keys import Keys
from bec_ops.outside.outside_worker import OutsideWorker
from bec_ops.outside.pace import Pace
from bec_ops.outside.seated import Seated, read_token
from bec_ops.outside.seats import first_free
from bec_ops.processes.output_log import output_kept
from bec_ops.runtime.attempt import tell
from bec_ops.runtime.running import Prepare, set_up_logging, show_traceback

Ready = Callable[[], tuple[Prepare, tuple[str, ...]]]
"""Makes ready what does volumes, and says which handlers there are; it may raise anything."""

_NAME_CHARACTERS = 63
_logger = logging.getLogger(__name__)


def run_outside(
    keys: Keys, ready: Ready, *, grace: float, once: bool, until_idle: float | None
) -> int:
    """Do one task or all that come, and return the exit code."""
    set_up_logging()
    stop = Stop()
    os.environ.pop(f"{PREFIX}TOKEN", None)  # not for programs that are run
    try:
        folder = StateFolder(keys.state)
        folder.make()
        StoreSettings.from_environment()  # nobody would tell well what is wrong with them later
        _be_registered(keys, folder)
        prepare, handlers = ready()
        with first_free(folder.path, "run") as name, output_kept() as log:
            seated = Seated(keys, folder, Seat.new(name), handlers)
            worker = OutsideWorker(seated, stop, log, grace=grace, until_idle=until_idle)
            with signals_stop(stop, worker.hurry):
                return _work(worker, prepare, stop, once=once)
    except BaseException as error:  # noqa: BLE001 - whatever it is, no task would fare better
        show_traceback(error)
        return tell(Failure.of(error), last_words=False).exit_code


def _work(worker: OutsideWorker, prepare: Prepare, stop: Stop, *, once: bool) -> int:
    failure: Failure | None = None
    while (task := worker.next_task()) is not None:
        failure = worker.do(task, prepare)
        if once:
            break
    worker.tell_rest()
    if worker.refused:
        _logger.error("%s", worker.refused)
        return ExitCode.MISCONFIGURED
    if stop.requested:
        _logger.info("the end: %s", stop.reason)
    return ExitCode.DONE if failure is None or not once else failure.exit_code


def register(folder: StateFolder, keys: Keys, *, again: bool = False) -> Identity:
    """Register this machine; raises MisconfiguredError with what is missing, and what `enrol` does.

    Where it is registered already that is refused, unless it is to be done `again`.
    """
    before = folder.identity()
    if before is not None and not again:
        raise MisconfiguredError(
            f"this worker is registered already: {before.worker_id} at {before.url}; give --again "
            "for a new id, or another state folder by the key state"
        )
    url = keys.url or (before.url if before is not None else "")
    if not url:
        raise MisconfiguredError("no address of an operator: give --url https://…")
    token = read_token(keys)
    if not token:
        raise MisconfiguredError("no token: give --token-file FILE, or - to read it from stdin")
    return enrol(folder, url, token, keys.name or _name_of_machine(), keys.ca)


def _be_registered(keys: Keys, folder: StateFolder) -> None:
    """See that the machine is registered; one that has just been made may be by its token alone."""
    if folder.identity() is not None or not (keys.url and (keys.token or keys.token_file)):
        return
    pace = Pace(_logger)
    while True:
        try:
            register(folder, keys)
        except UnreachableError as error:
            time.sleep(pace.pause(str(error)))
        except RefusedError as refusal:
            raise MisconfiguredError(
                f"the operator does not register this worker: {refusal}"
            ) from None
        else:
            return


def _name_of_machine() -> str:
    return re.sub(r"[^0-9A-Za-z._-]", "-", platform.node())[:_NAME_CHARACTERS]
