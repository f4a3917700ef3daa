"""The operator as a process: how it starts, what it tells, how it stops."""

import json
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import hang
from tests.support.jobs import counts, job, numbered
from tests.support.rights import operator_rights
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers


def test_it_stops_in_good_order_and_goes_on(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """Its log is JSON, its metrics follow the Job."""
    workers.behaviour = hang
    series = f'bec_job_volumes{{job="stopped",namespace="{space.namespace}",state="succeeded"}}'
    with make_operator(log_format="json") as operator:
        live = space.submit(job("stopped", space.bucket, numbered(6), parallelism=3))
        workers.running(3)
        operator.stop()
        assert len(workers.alive()) == 3
        assert operator.health() == 0

        operator.start()
        workers.release()
        assert counts(live.wait_complete()) == {"total": 6, "succeeded": 6}
        until(lambda: f"{series} 6.0" in operator.metrics(), "the metrics say so")
        live.delete()
        until(lambda: series not in operator.metrics(), "the metrics forget the Job")

    workers.runs.check_each_ran_once(6)
    lines = [json.loads(line) for line in operator.text().splitlines()]
    assert all({"time", "level", "name", "message"} <= line.keys() for line in lines)
    assert len([line for line in lines if line["message"].startswith("ready: ")]) == 2


def test_without_rights_it_says_which(
    cluster: Cluster, make_operator: MakeOperator, tmp_path: Path
) -> None:
    kubeconfig = operator_rights(cluster, tmp_path, ("kube-public",))
    operator = make_operator(kubeconfig)  # it has none in all namespaces
    with pytest.raises(AssertionError, match="ended at once with 1"):
        operator.start()
    assert "Traceback" not in operator.text()
    assert "forbidden" in operator.text()
    assert "cluster scope" in operator.text()


def test_it_stops_while_the_api_server_hangs(
    space: Space, rights: Path, make_operator: MakeOperator, tmp_path: Path
) -> None:
    """What is under way is given some time, then broken off; nothing more is begun."""
    with ApiFaults(rights) as proxy:
        operator = make_operator(proxy.kubeconfig(tmp_path))
        operator.start()
        space.submit(job("hangs", space.bucket, numbered(200), parallelism=200))
        proxy.cut(after=60)
        operator.stop()
    operator.check_nothing_broke()


def test_nothing_is_written_into_the_checkout(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home, kubectl keeps what it knows of the API server where it is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    assert "volumetasks" in cluster.kubectl("api-resources", "--cached=false")
    assert list(tmp_path.iterdir()) == []
