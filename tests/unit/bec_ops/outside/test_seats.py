"""Seats: one process in each, and free again when it has ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from bec_ops.outside.seats import first_free, sitting

HOLD = """
import signal, sys
from pathlib import Path
from bec_ops.outside.seats import first_free
with first_free(Path(sys.argv[1]), "run") as name:
    print(name, flush=True)
    signal.pause()
"""


def test_each_process_has_a_seat_of_its_own_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "run-1\n"
            with sitting(tmp_path, "run-1") as free, first_free(tmp_path, "run") as name:
                assert not free
                assert name == "run-2"
                with sitting(tmp_path, "run-2") as again:
                    assert not again, "nor twice in one process"
        finally:
            os.kill(other.pid, signal.SIGKILL)
    with sitting(tmp_path, "run-1") as free, first_free(tmp_path, "run") as name:
        assert free
        assert name == "run-2"
