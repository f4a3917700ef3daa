"""`bec-worker serve` as schedulers use it, over real sockets and with real processes."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.support.schedulers import SchedulerCalls
from tests.support.served import Served, processes_with
from tests.support.waiting import until

SLEEPER = "4242.25"  # seconds: by which a test knows its own


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One worker for all tests that do not harm it."""
    with Served(tmp_path_factory.mktemp("served"), {"limits": {"jobs": 2}}) as served:
        yield served


@pytest.fixture(scope="module")
def calls(served: Served) -> SchedulerCalls:
    return SchedulerCalls(served.address)


def refusal(error: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str]:
    call = error.value
    assert isinstance(call, grpc.Call)
    return call.code(), call.details() or ""


def test_output_comes_while_it_runs_and_after_it_ended(
    served: Served, calls: SchedulerCalls
) -> None:
    go = served.folder / "go-on"
    job_id = calls.start(
        "sh",
        served.script(f"echo first; until [ -e {go} ]; do sleep 0.05; done; echo second >&2"),
    )
    with calls.stream(job_id) as texts:
        assert next(texts) == "first\n"
        answer = calls.query(job_id)
        assert (answer.done, answer.error, answer.errorText) == (False, False, "")
        go.touch()
        assert "".join(texts) == "second\n"
    answer = calls.end(job_id)
    assert (answer.done, answer.error, answer.errorText) == (True, False, "")
    assert calls.output(job_id) == "first\nsecond\n"


def test_the_exit_code_is_told_as_clients_know_it(served: Served, calls: SchedulerCalls) -> None:
    answer = calls.end(calls.start("sh", served.script("exit 3")))
    assert (answer.error, answer.errorText, answer.stopped) == (True, "exit status 3", False)


def test_what_somebody_else_kills_is_no_stop(served: Served, calls: SchedulerCalls) -> None:
    answer = calls.end(calls.start("sh", served.script("kill -9 $$")))
    assert (answer.error, answer.errorText, answer.stopped) == (True, "signal: killed", False)


def test_the_path_is_one_argument_even_with_blanks(served: Served, calls: SchedulerCalls) -> None:
    blank = served.folder / "a b;c.sh"
    blank.write_text('echo "$# arguments: $0"')
    job_id = calls.start("sh", str(blank))
    assert calls.end(job_id).errorText == ""
    assert calls.output(job_id) == f"0 arguments: {blank}\n"


def test_an_empty_path_is_passed(calls: SchedulerCalls) -> None:
    job_id = calls.start("sh", "")
    assert calls.end(job_id).error, "without an argument sh would have ended with 0"
    assert "sh: " in calls.output(job_id)


def test_bytes_that_are_no_text_are_replaced(served: Served, calls: SchedulerCalls) -> None:
    job_id = calls.start("sh", served.script(r"printf 'a\377\340\275\220b\340'"))
    calls.end(job_id)
    assert calls.output(job_id) == "a\ufffd\u0f50b\ufffd"


def test_a_stop_ends_the_whole_group_and_who_has_left_it(
    served: Served, calls: SchedulerCalls
) -> None:
    deaf = f"trap '' TERM; setsid sleep {SLEEPER} & (trap '' TERM; sleep {SLEEPER}) & "
    job_id = calls.start("sh", served.script(f"{deaf} sleep {SLEEPER}; sleep {SLEEPER}"))
    until(lambda: len(processes_with(SLEEPER)) == 3, "all of it runs")
    calls.stop(job_id)
    answer = calls.end(job_id)
    assert (answer.error, answer.errorText, answer.stopped) == (True, "signal: killed", True)
    assert not processes_with(SLEEPER)
    calls.stop(job_id)
    assert calls.query(job_id) == answer, "a stop of what has ended is no news"


@pytest.mark.parametrize(
    ("trap", "text"),
    [
        ("", "stopped: signal: terminated"),
        ("trap 'echo saved; exit 0' TERM;", "stopped: exit status 0"),
    ],
)
def test_a_stop_that_is_heard_reads_as_a_stop(
    served: Served, calls: SchedulerCalls, trap: str, text: str
) -> None:
    job_id = calls.start("sh", served.script(f"{trap} echo on; while :; do sleep 0.05; done"))
    with calls.stream(job_id) as texts:
        assert next(texts) == "on\n"
        calls.stop(job_id)
        assert "".join(texts).endswith("saved\n" if trap else "")
    answer = calls.end(job_id)
    assert (answer.error, answer.errorText, answer.stopped) == (True, text, True)


def test_what_the_command_leaves_behind_has_its_time_and_no_more(
    served: Served, calls: SchedulerCalls
) -> None:
    job_id = calls.start("sh", served.script("(sleep 0.3; echo late) & sleep 4242.5 & exit 0"))
    answer = calls.end(job_id)
    assert (answer.error, answer.errorText) == (False, "")
    said = calls.output(job_id)
    assert said.startswith("late\n")
    assert "left processes behind, which are killed 1 s later: sleep (" in said
    assert not processes_with("4242.5")


def test_what_the_command_has_left_behind_is_stopped_as_well(tmp_path: Path) -> None:
    with Served(tmp_path, {"limits": {"grace_seconds": 3000}}) as served:
        calls = SchedulerCalls(served.address)
        left = "setsid sh -c 'trap \"echo heard; exit\" TERM; echo on; sleep 4242.625 & wait' &"
        job_id = calls.start("sh", served.script(f"{left} exit 0"))
        with calls.stream(job_id) as texts:
            assert next(texts) == "on\n"
            until(lambda: len(served.keeper(job_id).children()) == 1, "the command has ended")
            assert not calls.query(job_id).done
            calls.stop(job_id)
            assert next(texts) == "heard\n"
        answer = calls.end(job_id)
        assert (answer.errorText, answer.stopped) == ("stopped: exit status 0", True)
        assert not processes_with("4242.625"), "its child heard it as well, long before its time"


@pytest.mark.parametrize("job_id", ["", "../jobs", "00000000-0000-0000-0000-000000000000", "lock"])
def test_an_unknown_job_is_not_found(calls: SchedulerCalls, job_id: str) -> None:
    for call in (calls.query, calls.stop, calls.output):
        with pytest.raises(grpc.RpcError) as error:
            call(job_id)
        assert refusal(error) == (grpc.StatusCode.UNKNOWN, "job not found")


@pytest.mark.parametrize(
    ("command", "text"),
    [("/nowhere", "No such file or directory"), ("/etc/passwd", "Permission denied")],
)
def test_what_cannot_be_run_says_so_as_the_system_does(
    served: Served, calls: SchedulerCalls, command: str, text: str
) -> None:
    before = sorted(served.jobs.iterdir())
    with pytest.raises(grpc.RpcError) as error:
        calls.start(command, "")
    assert refusal(error) == (grpc.StatusCode.UNKNOWN, f"'{command}': {text}")
    assert sorted(served.jobs.iterdir()) == before


def test_only_what_the_owner_lists_is_run(calls: SchedulerCalls) -> None:
    with pytest.raises(grpc.RpcError) as error:
        calls.start("/bin/sh", "-c")
    code, details = refusal(error)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "'/bin/sh' is not allowed on this machine" in details


def test_no_more_run_at_once_than_the_owner_allows(served: Served, calls: SchedulerCalls) -> None:
    script = served.script("sleep 4242.75")
    both = [calls.start("sh", script) for _ in range(2)]
    with pytest.raises(grpc.RpcError) as error:
        calls.start("sh", script)
    assert refusal(error)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    for job_id in both:
        calls.stop(job_id)
        calls.end(job_id)
    calls.end(calls.start("sh", served.script("exit 0")))


def test_a_start_that_is_too_late_for_its_caller_is_undone(
    served: Served, calls: SchedulerCalls
) -> None:
    before = set(served.jobs.iterdir())
    script = served.script("sleep 4242.875")

    def begun() -> list[Path]:
        with pytest.raises(grpc.RpcError) as error:
            calls.start("sh", script, deadline=0.02)  # less than any start takes
        assert refusal(error)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        return [each for each in served.jobs.iterdir() if each not in before]

    for folder in until(begun, "the worker has heard of it"):
        until((folder / "end.json").exists, "it has ended")
        assert calls.query(folder.name).stopped
    until(lambda: not processes_with(script), "nothing runs of it")


def test_an_ended_job_is_forgotten_once_others_have_ended(tmp_path: Path) -> None:
    with Served(tmp_path, {"limits": {"kept_jobs": 1}}) as served:
        calls = SchedulerCalls(served.address)
        first = calls.start("sh", served.script("exit 1"))
        calls.end(first)
        second = calls.start("sh", served.script("exit 2"))
        calls.end(second)
        with pytest.raises(grpc.RpcError) as error:
            calls.query(first)
        assert refusal(error) == (grpc.StatusCode.UNKNOWN, "job not found")
        assert calls.query(second).errorText == "exit status 2"
        assert not (served.jobs / first).exists()
