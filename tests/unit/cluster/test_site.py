"""Slots keep clusters apart, whoever starts them and however they ended."""

import ipaddress
import tempfile
from itertools import combinations
from pathlib import Path

import pytest

from tests.cluster.site import SLOTS, Port, Site, give_back_slot, held_slot, take_slot


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def home(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "clusters" / name
    folder.mkdir(parents=True)
    return folder


def test_each_cluster_has_a_slot_of_its_own_until_it_gives_it_back(tmp_path: Path) -> None:
    first, second, third = (home(tmp_path, name) for name in ("first", "second", "third"))
    slot = take_slot(first)
    assert take_slot(second) != slot
    assert held_slot(first) == slot

    give_back_slot(slot)
    assert held_slot(first) is None
    assert take_slot(third) == slot


def test_a_slot_is_free_again_when_the_cluster_was_removed_by_hand(tmp_path: Path) -> None:
    lost = home(tmp_path, "lost")
    slot = take_slot(lost)
    lost.rmdir()
    assert take_slot(home(tmp_path, "next")) == slot


def test_no_two_slots_share_an_address_or_a_port() -> None:
    sites = [Site("any", slot, isolated=True) for slot in range(SLOTS)]
    for one, other in combinations(sites, 2):
        for field in ("pod_range", "service_range"):
            ranges = [ipaddress.ip_network(getattr(site, field)) for site in (one, other)]
            assert not ranges[0].overlaps(ranges[1])
    ports = [site.port(what) for site in sites for what in Port]
    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768, "above, the kernel gives ports to whoever connects"
