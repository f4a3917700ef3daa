"""A worker from elsewhere that has registered with an operator that is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_ops.outside.identity import Identity, StateFolder
from tests.support.fake_operator import FakeOperator
from tests.support.worker_runs import POD, WorkerRun


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator() as operator:
        yield operator


@pytest.fixture
def folder(tmp_path: Path, operator: FakeOperator) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.make()
    folder.keep(Identity(url=operator.url, worker_id="w-1", secret="s" * 64, name="desk"))
    return folder


@pytest.fixture
def run(tmp_path: Path, folder: StateFolder) -> WorkerRun:
    none = dict.fromkeys((*POD, "BEC_WORKER_ID", "BEC_OPERATOR_URL"), "")
    more = {"BEC_WORKER_STATE": str(folder.path), "HOME": str(tmp_path)}
    return WorkerRun(tmp_path / "here", none | more)
