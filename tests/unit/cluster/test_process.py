"""Processes are found again, and ended for certain, by whoever comes later."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.process import Process, Spec, end, marked, recorded


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    end(marked(tmp_path), signal.SIGKILL, 5)


def first_words(process: Process) -> str:
    while not (said := process.log.read_text()):
        assert process.pid, f"{process.spec.name} ended without a word"
        time.sleep(0.01)
    return said.strip()


def test_another_launcher_finds_a_process_and_stops_and_starts_it(home: Path) -> None:
    Process(home, Spec(name="sleeper", argv=("sleep", "600"))).start()

    found = recorded(home)["sleeper"]
    before = found.pid
    assert before
    found.kill()
    assert found.pid is None
    found.restart()
    assert found.pid not in {None, before}
    assert recorded(home)["sleeper"].pid == found.pid


def test_a_process_that_ignores_a_polite_request_is_ended(home: Path) -> None:
    script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    stubborn = Process(home, Spec(name="stubborn", argv=("sh", "-c", script)))
    stubborn.start()
    assert first_words(stubborn) == "deaf"
    stubborn.stop(grace=0.3)
    assert stubborn.pid is None


def test_what_a_process_started_is_found_after_its_end(home: Path) -> None:
    parent = Process(home, Spec(name="parent", argv=("sh", "-c", "sleep 600 & echo $!; wait")))
    parent.start()
    child = int(first_words(parent))
    parent.kill()

    assert [process.pid for process in marked(home)] == [child]
    end(marked(home), signal.SIGKILL, 5)
    assert marked(home) == []


def test_a_process_that_ends_before_it_is_ready_is_quoted(home: Path) -> None:
    spec = Spec(
        name="broken",
        argv=("sh", "-c", "echo no such flag; exit 1"),
        ready=("http://127.0.0.1:1/healthz",),
    )
    broken = Process(home, spec)
    broken.start()
    with pytest.raises(ClusterError, match=r"(?s)broken has ended.*no such flag"):
        broken.wait_ready(seconds=5)
