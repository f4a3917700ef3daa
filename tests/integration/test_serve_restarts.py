"""What becomes of jobs whose `bec-worker serve`, or whose keeper, ends before them."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.support.schedulers import PATIENCE, SchedulerCalls
from tests.support.served import Served, killed, processes_with
from tests.support.waiting import until

SLEEPER = "4343.25"  # seconds: by which a test knows its own


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """One worker for all tests, whatever they do to it."""
    yield running
    if not running.runs:
        running.start()


@pytest.fixture
def calls(served: Served) -> SchedulerCalls:
    return SchedulerCalls(served.address)


def test_a_job_goes_on_while_the_worker_is_away(served: Served, calls: SchedulerCalls) -> None:
    wait = f"until [ -e {served.folder}/$1 ]; do sleep 0.05; done"
    job_id = calls.start(
        "sh", served.script(f"wait() {{ {wait}; }}; echo 1; wait a; echo 2; wait b; echo 3; exit 5")
    )
    over = calls.start("sh", served.script("echo before; exit 4"))
    answer = calls.end(over)
    served.kill()
    (served.folder / "a").touch()
    served.start()
    assert f"job {job_id}: still runs, from before" in served.log
    assert not calls.query(job_id).done
    with calls.stream(job_id) as texts:
        said = next(texts)
        while "2" not in said:
            said += next(texts)
        (served.folder / "b").touch()
        assert said + "".join(texts) == "1\n2\n3\n"
    assert calls.end(job_id).errorText == "exit status 5"
    assert calls.query(over) == answer
    assert calls.output(over) == "before\n"


def test_a_job_that_ends_while_the_worker_is_away_has_ended(
    served: Served, calls: SchedulerCalls
) -> None:
    go = served.folder / "go-on"
    job_id = calls.start("sh", served.script(f"until [ -e {go} ]; do sleep 0.05; done; exit 6"))
    served.kill()
    go.touch()
    until((served.jobs / job_id / "end.json").exists, "its keeper notes the end")
    served.start()
    assert calls.query(job_id).errorText == "exit status 6"


def test_a_job_from_before_can_be_stopped(served: Served, calls: SchedulerCalls) -> None:
    job_id = calls.start("sh", served.script(f"sleep {SLEEPER}; :"))
    until(lambda: processes_with(SLEEPER), "it runs")
    served.kill()
    served.start()
    calls.stop(job_id)
    assert calls.end(job_id).errorText == "stopped: signal: terminated"
    assert not processes_with(SLEEPER)


def test_jobs_from_before_take_their_room(tmp_path: Path) -> None:
    with Served(tmp_path, {"limits": {"jobs": 1}}) as served:
        calls = SchedulerCalls(served.address)
        script = served.script(f"exec sleep {SLEEPER}")
        calls.start("sh", script)
        served.kill()
        served.start()
        with pytest.raises(grpc.RpcError, match="1 jobs run already"):
            calls.start("sh", script)


def test_a_job_whose_keeper_is_killed_is_lost_and_nothing_of_it_runs_on(
    served: Served, calls: SchedulerCalls
) -> None:
    job_id = calls.start(
        "sh", served.script(f"echo on; setsid sleep {SLEEPER} & sleep {SLEEPER}; :")
    )
    until(lambda: len(processes_with(SLEEPER)) == 2, "all of it runs")
    with calls.stream(job_id) as texts:
        assert next(texts) == "on\n"
        killed(served.keeper(job_id))
        assert list(texts) == [], "a stream ends with its job"
    answer = calls.query(job_id)
    assert (answer.done, answer.error, answer.stopped) == (True, True, False)
    assert answer.errorText.startswith("lost: ")
    until(lambda: not processes_with(SLEEPER), "nothing of it runs")
    assert calls.output(job_id) == "on\n"


def test_what_died_with_the_whole_machine_is_lost(served: Served, calls: SchedulerCalls) -> None:
    job_id = calls.start("sh", served.script(f"sleep {SLEEPER}; :"))
    until(lambda: processes_with(SLEEPER), "it runs")
    keeper = served.keeper(job_id)
    served.kill()
    killed(keeper)
    served.start()
    assert calls.query(job_id).errorText.startswith("lost: ")
    assert not processes_with(SLEEPER)


def test_a_job_that_had_no_time_to_begin_never_does(served: Served, calls: SchedulerCalls) -> None:
    template = calls.start("sh", served.script("exit 0"))
    calls.end(template)
    served.kill()
    job_id = "11111111-2222-3333-4444-555555555555"
    folder = served.jobs / job_id
    folder.mkdir()
    (folder / "start.json").write_bytes((served.jobs / template / "start.json").read_bytes())
    os.mkfifo(folder / "control")
    served.start()
    assert calls.query(job_id).errorText.startswith("lost: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_worker_stops_its_jobs(
    served: Served, calls: SchedulerCalls, number: signal.Signals
) -> None:
    last = f"setsid sh -c 'trap \"echo heard; exit\" TERM; echo on; sleep {SLEEPER} & wait' &"
    script = f"{last} exec sleep {SLEEPER}"
    job_id = calls.start("sh", served.script(script))
    until(lambda: len(processes_with(SLEEPER)) == 3, "all of it runs")
    assert served.process
    with calls.stream(job_id) as texts:
        assert next(texts) == "on\n"
        served.process.send_signal(number)
        assert "".join(texts) == "heard\n", "who reads is told all of it"
    assert served.process.wait(PATIENCE) == 0
    assert served.log.count("is told to stop") == 1
    assert not processes_with(SLEEPER)
    served.start()
    answer = calls.query(job_id)
    assert (answer.stopped, answer.errorText) == (True, "stopped: signal: terminated")


def test_a_second_signal_ends_the_worker_at_once(tmp_path: Path) -> None:
    with Served(tmp_path, {"limits": {"grace_seconds": 3000}}) as served:
        calls = SchedulerCalls(served.address)
        job_id = calls.start(
            "sh", served.script("trap 'echo heard' TERM; echo ready; while :; do sleep 1; done")
        )
        assert served.process
        with calls.stream(job_id) as texts:
            until(lambda: "ready" in next(texts), "the job can hear it")
            served.process.terminate()
            until(lambda: "heard" in next(texts), "the job is told to stop")
        with pytest.raises(grpc.RpcError, match="is about to end"):
            calls.start("sh", "")
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 143


def test_a_folder_that_somebody_has_meddled_with_hides_no_other_job(
    served: Served, calls: SchedulerCalls
) -> None:
    good = calls.start("sh", served.script("exit 7"))
    bad = calls.start("sh", served.script("exit 8"))
    for job_id in (good, bad):
        calls.end(job_id)
    served.kill()
    (served.jobs / bad / "end.json").write_text('{"code": ')
    (served.jobs / "notes.txt").touch()
    served.start()
    assert calls.query(good).errorText == "exit status 7"
    assert calls.query(bad).errorText.startswith("lost: ")


def test_a_folder_that_is_removed_is_a_job_that_is_not_found(
    served: Served, calls: SchedulerCalls
) -> None:
    job_id = calls.start("sh", served.script(f"sleep {SLEEPER}; :"))
    until(lambda: processes_with(SLEEPER), "it runs")
    shutil.rmtree(served.jobs / job_id)
    for _ in range(2):
        with pytest.raises(grpc.RpcError, match="job not found"):
            calls.query(job_id)
    assert not processes_with(SLEEPER), "nobody could stop it any more"
    assert not calls.end(calls.start("sh", served.script("exit 0"))).error
