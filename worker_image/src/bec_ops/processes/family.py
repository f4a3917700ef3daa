"""All the processes that come of one command: who has left its group and session included."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from bec_ops.processes.proc import Process, adopt_orphans, are_listed, children, forget, processes

_LOOKS = (0.01, 0.25)  # seconds between two looks at what is left: the first, and the longest
_DEADLY = 5.0  # seconds in which SIGKILL does its work, or never will
_NAMED = 5  # of what is left: so many are told by name

_logger = logging.getLogger(__name__)


class Family:
    """A command that runs, and whatever it starts.

    Nothing else in this process may start children while a command runs: they would be taken for
    the command's.
    """

    def __init__(self, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        adopt_orphans()
        self._others = {child.pid for child in children()}
        self.command = start()

    def wait(self) -> int:
        """Wait for the end of the command itself, and return its exit code.

        What it orphans dies unseen by it: that is waited for too, lest the dead be counted as
        processes of the pod for ever.
        """
        while hasattr(os, "waitid"):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if ended is None or ended.si_pid in {self.command.pid, *self._others}:
                break
            with suppress(ChildProcessError):
                os.waitpid(ended.si_pid, 0)
        return self.command.wait()

    def left(self) -> list[Process]:
        """Return what still lives, once the command itself has ended; the dead are forgotten."""
        if not are_listed():
            return self._left_of_group()
        while True:
            seen = list(self._seen())
            living = [process for process in seen if not self._gone(process)]
            # A list is not of one moment: whose parent has died since may have been read before it
            # became ours. Of the dead each is there until it is waited for, which is done here.
            if living or not any(process.parent == os.getpid() for process in seen):
                return living

    def wait_for_left(self, seconds: float, check: Callable[[], None]) -> list[Process]:
        """Wait until nothing is left, and return what is after so many seconds.

        `check` is called again and again, and may raise.
        """
        deadline = time.monotonic() + seconds
        pause, longest = _LOOKS
        while (left := self.left()) and time.monotonic() < deadline:
            check()
            time.sleep(pause)
            pause = min(2 * pause, longest)
        return left

    def signal(self, number: int) -> None:
        """Send a signal to the command's group: safe in a signal handler."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.command.pid, number)

    def kill(self) -> None:
        """End all of it, at once."""
        deadline = time.monotonic() + _DEADLY
        self.signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.command.wait(_DEADLY)
        while left := self.left():
            for process in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                _logger.warning("cannot be killed: %s", named(left))
                break
            time.sleep(_LOOKS[0])

    def _seen(self) -> Iterator[Process]:
        """Yield what came to us as orphans, and who is in the group."""
        for process in processes():
            orphan = process.parent == os.getpid() and process.pid not in self._others
            if orphan or process.group == self.command.pid:
                yield process

    def _gone(self, process: Process) -> bool:
        return forget(process) if process.parent == os.getpid() else process.dead

    def _left_of_group(self) -> list[Process]:
        """Say whether anything of the group lives, where the kernel lists nothing."""
        group = self.command.pid
        with suppress(ChildProcessError):
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [Process(group, 0, "its process group", 0, group, dead=False)]


def named(left: list[Process]) -> str:
    """Name processes, some of them if they are many."""
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return ", ".join(map(str, left[:_NAMED])) + more
