"""The command of `make stores`: what it runs, and when it says that all is well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import ClusterError
from tests.stores import SERVERS, chosen
from tests.stores.__main__ import Outcome, main
from tests.stores.choosing import REPORT
from tests.stores.servers import VARIABLE

ROOT = Path(__file__).parents[3]
MOTO = SERVERS["moto"]


def test_a_name_that_no_server_has_is_told_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ClusterError, match=r"no server 'mino'; name one of seaweedfs, moto"):
        main(["moto", "mino"])
    monkeypatch.setenv(VARIABLE, "mino")
    with pytest.raises(ClusterError, match="no server 'mino'"):
        chosen()


def test_a_run_is_good_if_tests_ran_and_all_passed() -> None:
    assert Outcome(MOTO, 0, 1.0, passed=3).good
    assert not Outcome(MOTO, 0, 1.0).good
    assert not Outcome(MOTO, 1, 1.0, passed=3).good
    assert not Outcome(MOTO, 0, 1.0, passed=3, failed=1).good


CONFTEST = """
from tests.stores import choosing

def pytest_configure(config):
    choosing.tally(config)

def pytest_collection_modifyitems(config, items):
    choosing.choose(config, items)
"""
TESTS = """
import pytest
from tests.stores import Trait

@pytest.mark.needs(Trait.SIGNATURES)
def test_lacking():
    assert False

@pytest.mark.needs(Trait.OBJECT_LOCK)
def test_there():
    pass

def test_wrong():
    assert False
"""


def test_what_a_server_lacks_is_not_asked_of_it_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    report = tmp_path / "report.json"
    environment = {VARIABLE: "moto", REPORT: str(report), "PYTHONPATH": str(ROOT)}
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.")
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    found = json.loads(report.read_text())
    assert found == {
        "outcomes": {"passed": 1, "failed": 1},
        "not asked": {"it checks no signature": 1},
    }
