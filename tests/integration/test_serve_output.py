"""Output that nobody could keep, and readers that are slow: memory and disk have their bounds."""

import re
from collections.abc import Iterator
from contextlib import suppress

import grpc
import psutil
import pytest

from tests.support.schedulers import SchedulerCalls
from tests.support.served import Served
from tests.support.waiting import until

MIB = 1024 * 1024
LIMIT = 4 * MIB
FLOOD = 200 * MIB
GROWTH = 24 * MIB  # of a worker's memory, whatever its jobs print
CUT = re.compile(r"\n\[bec-worker: (\d+) bytes of output are missing here: .*\]\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = {"output_bytes": LIMIT, "streams": 2}
    with Served(tmp_path_factory.mktemp("served"), {"limits": limits}) as served:
        yield served


@pytest.fixture(autouse=True)
def nothing_goes_on_yet(served: Served) -> None:
    (served.folder / "go-on").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def calls(served: Served) -> SchedulerCalls:
    return SchedulerCalls(served.address)


def on_disk(served: Served, job_id: str) -> int:
    total = 0
    for piece in (served.jobs / job_id).glob("output-*"):
        with suppress(FileNotFoundError):  # it is cut just now
            total += piece.stat().st_size
    return total


def flood(served: Served) -> str:
    """Return a script of much output, once the file `go-on` is there."""
    go = served.folder / "go-on"
    lines = f"head -c {FLOOD} /dev/zero | tr '\\0' x"
    return served.script(f"echo first; until [ -e {go} ]; do sleep 0.05; done; {lines}; echo last")


def test_a_reader_that_does_not_read_costs_neither_memory_nor_disk(
    served: Served, calls: SchedulerCalls
) -> None:
    assert served.process
    worker = psutil.Process(served.process.pid)
    job_id = calls.start("sh", flood(served))
    with calls.stream(job_id) as texts:
        assert next(texts) == "first\n"
        keeper = served.keeper(job_id)
        before = worker.memory_info().rss, keeper.memory_info().rss
        (served.folder / "go-on").touch()
        most = [0, 0, 0]

        def done() -> bool:
            ended = (served.jobs / job_id / "end.json").exists()
            with suppress(psutil.NoSuchProcess):
                most[1] = max(most[1], keeper.memory_info().rss - before[1])
            most[0] = max(most[0], worker.memory_info().rss - before[0])
            most[2] = max(most[2], on_disk(served, job_id))
            return ended

        until(done, "the command has printed all of it, whoever reads", timeout=60)
        assert most[0] < GROWTH
        assert most[1] < GROWTH
        assert most[2] <= LIMIT
        assert calls.end(job_id).errorText == "", "others are answered meanwhile"
        rest = "".join(texts)
    cut = [int(count) for count in CUT.findall(rest)]
    assert cut, "it is told what is missing"
    assert sum(cut) + len(CUT.sub("", rest)) == FLOOD + len("last\n")
    assert rest.endswith("xxxlast\n")
    assert on_disk(served, job_id) > LIMIT // 2
    assert worker.memory_info().rss - before[0] < GROWTH


def test_a_late_reader_gets_what_is_kept_and_is_told_of_the_rest(
    served: Served, calls: SchedulerCalls
) -> None:
    (served.folder / "go-on").touch()
    job_id = calls.start("sh", flood(served))
    calls.end(job_id)
    said = calls.output(job_id)
    (cut,) = CUT.findall(said)
    assert said.startswith(f"\n[bec-worker: {cut} bytes")
    assert int(cut) + len(CUT.sub("", said)) == FLOOD + len("first\nlast\n")


def test_a_reader_that_keeps_up_gets_every_byte(served: Served, calls: SchedulerCalls) -> None:
    lines = LIMIT // 2 // 8
    job_id = calls.start("sh", served.script(f"seq -f '%07.0f' {lines}"))
    assert calls.output(job_id) == "".join(f"{number:07}\n" for number in range(1, lines + 1))


def test_readers_that_stay_keep_no_others_from_calling(
    served: Served, calls: SchedulerCalls
) -> None:
    go = served.folder / "go-on"
    job_id = calls.start("sh", served.script(f"until [ -e {go} ]; do echo .; sleep 0.05; done"))
    with calls.stream(job_id) as first, calls.stream(job_id) as second:
        assert next(first)
        assert next(second)
        with pytest.raises(grpc.RpcError, match="2 read output already") as error:
            calls.output(job_id)
        assert isinstance(error.value, grpc.Call)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not calls.query(job_id).done

    def has_room() -> bool:
        with calls.stream(job_id) as again:
            try:
                return bool(next(again))
            except grpc.RpcError:
                return False

    until(has_room, "who has gone makes room for others")
    go.touch()
    calls.end(job_id)
