"""A program of its own: copies a worker's output to where it went before, and keeps its end.

A thread of the worker could not do it: a library that holds Python's lock while it prints would
wait for that thread for ever. It is run by its path and imports nothing but what starts fast.

    python -I -S tee.py OUT_PIPE OUT ERR_PIPE ERR CONTROL BYTES

All but BYTES are file descriptors. A byte on CONTROL asks for the end of what was printed until
then, which is answered with its length in 8 bytes, and itself; after the byte `!` it is forgotten.
The end of CONTROL ends it.
"""

import os
import select
import signal
import sys

_CHUNK = 65536


class Copy:
    """What goes from pipes to files, and the end of all of it."""

    def __init__(self, targets: dict[int, int], keep: int) -> None:
        self.targets = targets
        self._keep = keep
        self._kept = bytearray()

    def move(self, pipe: int) -> bool:
        """Copy what is there of one pipe; False if nothing is."""
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        self._kept += data
        if len(self._kept) > 2 * self._keep:
            del self._kept[: -self._keep]
        write_all(self.targets[pipe], data)
        return bool(data)

    def drain(self) -> bytes:
        """Copy all that is there, and return the end of it."""
        for pipe in self.targets:
            while self.move(pipe):
                pass
        return bytes(self._kept[-self._keep :])

    def forget(self) -> None:
        """Keep nothing of what was copied until now."""
        self._kept.clear()


def write_all(target: int, data: bytes) -> None:
    """Write everything; a reader that is gone is no reason to stop."""
    while data:
        try:
            data = data[os.write(target, data) :]
        except OSError:
            return


def main(out_pipe: int, out: int, err_pipe: int, err: int, control: int, keep: int) -> None:
    """Copy until told to end, or nobody is left to tell it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker's last words are yet to come
    copy = Copy({out_pipe: out, err_pipe: err}, keep)
    poll = select.poll()
    for pipe in copy.targets:
        os.set_blocking(pipe, False)
        poll.register(pipe, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        for ready, event in poll.poll():
            if ready == control:
                asked = os.read(control, 1)
                tail = copy.drain()
                if not asked:
                    return
                if asked == b"!":
                    copy.forget()
                write_all(control, len(tail).to_bytes(8, "big") + tail)
            elif not copy.move(ready) and event & select.POLLHUP:
                poll.unregister(ready)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
