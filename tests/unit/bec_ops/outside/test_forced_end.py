"""The end of a process whose work does not look whether it is to stop."""

import threading
from pathlib import Path

from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.redelivery import Undelivered
from bec_ops.link.stopping import Stop
from bec_ops.outside.forced_end import ForcedEnd
from bec_ops.runtime.attempt import Attempt


def test_a_stop_starts_no_thread_as_a_signal_handler_may_ask_for_it(tmp_path: Path) -> None:
    task = Task(job_id="ocr", w_id="W1", i_id="I1", output_uri=f"file://{tmp_path}/", worker_id="w")
    attempt = Attempt(task, Surroundings(), Stop())
    forced = ForcedEnd(attempt, 600, Undelivered(), lambda: None)
    before = set(threading.enumerate())
    attempt.stop.request("got SIGTERM")
    assert set(threading.enumerate()) <= before
    (thread,) = [each for each in before if each.name == "forced-end"]
    forced.cancel()
    thread.join(10)
    assert not thread.is_alive()
