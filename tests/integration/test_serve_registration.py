"""How `bec-worker serve` gets in with a scheduler, stays in, and leaves."""

from pathlib import Path

import pytest

from tests.support.ports import free_ports
from tests.support.schedulers import PATIENCE, PlayedScheduler, SchedulerCalls
from tests.support.served import Served
from tests.support.waiting import throughout, until


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


def served_for(folder: Path, port: int, **scheduler: object) -> Served:
    return Served(folder, {"scheduler": {"addr": f"127.0.0.1:{port}", **scheduler}})


def test_it_registers_with_its_own_address_and_takes_its_name_back(
    tmp_path: Path, port: int
) -> None:
    with PlayedScheduler(port) as scheduler, served_for(tmp_path, port) as served:
        until(lambda: scheduler.workers, "it is registered", PATIENCE)
        ((worker_id, address),) = scheduler.workers.items()
        assert address == served.address
        job_id = SchedulerCalls(address).start("sh", served.script("exit 0"))
        assert not SchedulerCalls(address).end(job_id).error
        throughout(1.5, lambda: len(scheduler.workers) == 1, "it is registered but once")
        assert served.end() == 0
        assert scheduler.gone == [worker_id]


def test_it_tries_until_there_is_a_scheduler(tmp_path: Path, port: int) -> None:
    with served_for(tmp_path, port) as served:
        until(lambda: "trying again" in served.log, "it says that nobody answers", PATIENCE)
        with PlayedScheduler(port) as scheduler:
            until(lambda: scheduler.workers, "it is registered", PATIENCE)
            assert served.log.count("trying again") == 1, "one word a minute"


def test_a_scheduler_that_is_new_gets_it_again(tmp_path: Path, port: int) -> None:
    with served_for(tmp_path, port) as served:
        with PlayedScheduler(port) as first:
            until(lambda: first.workers, "it is registered", PATIENCE)
        with PlayedScheduler(port) as second:
            until(lambda: second.workers, "it is registered again", PATIENCE)
            served.end()
            # If only the connection had broken, both would be its names.
            assert sorted(second.gone) == sorted([*first.workers, *second.workers])


def test_it_registers_from_time_to_time_where_that_is_wished(tmp_path: Path, port: int) -> None:
    with PlayedScheduler(port) as scheduler, served_for(tmp_path, port, again_seconds=0.1):
        until(lambda: len(scheduler.workers) > 10, "it is registered again and again", PATIENCE)
        until(lambda: len(scheduler.gone) > 2, "names that are too many are given back", PATIENCE)
        assert scheduler.gone[:2] == list(scheduler.workers)[:2], "the oldest first"


def test_it_ends_without_a_scheduler_as_well(tmp_path: Path, port: int) -> None:
    with served_for(tmp_path, port) as served:
        until(lambda: "trying again" in served.log, "it says that nobody answers", PATIENCE)
        assert served.end() == 0
