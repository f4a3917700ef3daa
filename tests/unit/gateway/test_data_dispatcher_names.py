"""What Jobs, volumes and workers are called in Data Dispatcher."""

import re

import pytest

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.outside import seat_uid
from bec_operator.gateway.faces.data_dispatcher.names import (
    file_of,
    is_seat,
    project_id_of,
    seat_name,
    volume_of,
    who_has,
    worker_with,
)
from bec_operator.gateway.logins import visitor
from bec_ops.contract.volume import MAX_ID_CHARACTERS, Volume

GRID = Enrolment("bec", "grid.a", "uid", 1, "token")
VOLUMES = [
    Volume("W22084", "I0886", "v1"),
    Volume("W1", "I1"),
    Volume("a:b", "c@d", "e@f"),
    Volume("#&+% ~41", "..", "/"),
    Volume("བོད་" * 30, "\U0001f9ff" * MAX_ID_CHARACTERS, "é"),
]


@pytest.mark.parametrize("volume", VOLUMES)
def test_a_volume_is_found_by_its_file(volume: Volume) -> None:
    namespace, name = file_of(volume)
    assert volume_of(namespace, name) == volume
    assert re.fullmatch(r"[0-9A-Za-z._~-]+", namespace)
    assert re.fullmatch(r"[0-9A-Za-z._~@-]+", name)


def test_usual_names_stay_as_they_are() -> None:
    assert file_of(Volume("W22084", "I0886", "v1")) == ("W22084", "I0886@v1")
    assert file_of(Volume("W22084", "I0886")) == ("W22084", "I0886")


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("~57", "I1"), ("W 1", "I1"), ("W1", "I1@"), ("W1", "a@b@c"), ("~FF", "a"), ("~e9", "a")],
)
def test_what_no_volume_is_called(namespace: str, name: str) -> None:
    assert volume_of(namespace, name) is None


def test_numbers_of_projects_are_the_same_for_ever() -> None:
    assert project_id_of("4f3c0a52-35c7-4a25-9e4c-f61a1b1f0f0e") == 8966902958728063
    assert all(0 < project_id_of(str(n)) < 2**53 for n in range(1000))


@pytest.mark.parametrize("who", ["1f2e3d4c", "who: 50% &", "བོད་", "-", "x" * 40, "a b" * 13])
def test_what_a_worker_calls_itself_is_on_record(who: str) -> None:
    worker = visitor(GRID, who)
    name = seat_name(12, who, worker)
    attempt = Attempt(number=1, pod=worker.name, pod_uid=seat_uid(worker.id, name))
    assert re.fullmatch(r"[0-9A-Za-z._-]{0,64}", name)
    assert is_seat(name)
    assert who_has(attempt) == who
    found = worker_with(GRID, attempt)
    assert found is not None
    assert found.id == worker.id


def test_a_name_without_room_is_shortened() -> None:
    who = "a very long name/" * 10
    worker = visitor(GRID, who)
    name = seat_name(3, who, worker)
    assert name == "dd3"
    attempt = Attempt(number=1, pod=worker.name, pod_uid=seat_uid(worker.id, name))
    assert who_has(attempt) == worker.name


@pytest.mark.parametrize("seat", ["", "dd", "ddx", "dd1.~", "seat-1", "dd1.a.b"])
def test_seats_of_others(seat: str) -> None:
    assert not is_seat(seat)
    assert who_has(Attempt(number=1, pod="pod", pod_uid=f"grid.a.{'0' * 12}/{seat}")) == "pod"


@pytest.mark.parametrize("worker_id", ["grid.a.b-0123456789ab", "grid.0123456789ab", "grid.a", "x"])
def test_workers_of_other_enrolments(worker_id: str) -> None:
    assert worker_with(GRID, Attempt(number=1, pod="pod", pod_uid=worker_id)) is None
