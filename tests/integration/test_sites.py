"""Volumes with sites: their pods go there, or never come, and what nobody can mean is refused."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bec_operator.act.kube.node_affinity import PREFERRED, REQUIRED
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang, succeed
from tests.support.jobs import condition, counts, job, manifest, numbered
from tests.support.kube import Body, KubeError
from tests.support.operator_process import Operator
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

KEY = "lists/sites.csv"
CERN: Body = {"name": "cern", "nodeSelector": {"topology.kubernetes.io/zone": "cern"}}
DESK: Body = {"name": "desk", "outside": True}
LIST = "w_id,i_id,site\nW1,I0,cern\nW1,I1,\nW1,I2,lyon\n"
AT_CERN = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["cern"]}


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    """An operator that looks at lists often."""
    with make_operator(list_every=1.0) as operator:
        yield operator


def affinities(workers: Workers) -> dict[str, Any]:
    """Return the node affinity of each pod, by its volume."""
    pods = [run.pod for run in workers.runs.all()]
    return {pod.task.i_id: pod.spec.get("affinity", {}).get("nodeAffinity") for pod in pods}


def test_pods_prefer_the_site_of_their_volume(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    toleration = {"key": "site", "operator": "Exists"}
    sites = {"of": [{**CERN, "tolerations": [toleration]}]}
    space.put(KEY, LIST.encode())
    live = space.submit(job("near", space.bucket, manifest(space.bucket, KEY), sites=sites))
    runs = workers.running(3)

    preferred = {PREFERRED: [{"weight": 50, "preference": {"matchExpressions": [AT_CERN]}}]}
    assert affinities(workers) == {"I0": preferred, "I1": None, "I2": None}
    near = next(run.pod for run in runs if run.pod.task.i_id == "I0")
    assert toleration in near.spec["tolerations"]
    unknown = "1 volume has a site that spec.sites does not name (lyon); it is done anywhere"
    live.wait(lambda found: unknown in condition(found, "Ready")["message"], "it is told")

    space.put(KEY, f"{LIST.replace('I1,', 'I1,cern')}W1,I3,cern\n".encode())
    until(lambda: affinities(workers).get("I3") == preferred, "what is new goes there as well", 20)
    kept = "1 volume has another site in the list now; the one that it came with counts"
    live.wait(lambda found: kept in condition(found, "Ready")["message"], "it is told")
    for run in workers.running(4):
        workers.play(run, succeed)
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    lines = max((_frozen(space, key) for key in space.stored() if "manifest-" in key), key=len)
    assert [line.get("site", "") for line in lines] == ["cern", "", "lyon", "cern"]


def _frozen(space: Space, key: str) -> list[dict[str, str]]:
    text = gzip.decompress(space.read(key)).decode()
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_required_waits_for_its_site(
    space: Space, workers: Workers, operator: Operator
) -> None:
    volumes = [{"wId": "W1", "iId": f"I{n}"} for n in range(3)]
    volumes[0]["site"], volumes[1]["site"] = "desk", "cern"
    sites = {"policy": "Require", "patience": "1s", "of": [CERN, DESK]}
    spec = {"sites": sites, "outside": {"allowed": True}}
    live = space.submit(job("apart", space.bucket, {"items": volumes}, **spec))
    live.wait_counts(succeeded=2)

    required = {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [AT_CERN]}]}}
    assert affinities(workers) == {"I1": required, "I2": None}
    operator.stop()
    operator.start()
    throughout(3, lambda: set(affinities(workers)) == {"I1", "I2"}, "desk is not here")

    live.patch(sites={"policy": "Prefer"})
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    assert affinities(workers)["I0"] is None, "any node will do"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sites": {"of": []}}, "of"),
        ({"sites": {"of": [CERN, CERN]}}, "Duplicate value"),
        ({"sites": {"of": [{"name": "cern"}]}}, "a site needs a nodeSelector, or outside: true"),
        ({"sites": {"of": [{**CERN, "outside": True}]}}, "and not both: no node is outside"),
        ({"sites": {"of": [{**CERN, "name": "a b"}]}}, "name"),
        ({"sites": {"of": [{**CERN, "nodeSelector": {"a": "b c"}}]}}, "nodeSelector"),
        ({"sites": {"of": [DESK]}}, "a site is outside: set outside.allowed"),
        ({"sites": {"of": [CERN], "policy": "Require"}, "pool": {}}, "bound to no site"),
        ({"sites": {"of": [{**CERN, "tolerations": [{"value": "x"}]}]}}, "needs operator: Exists"),
        ({"sites": {"of": [CERN], "patience": "0s"}}, "give a time above zero"),
    ],
)
def test_what_cannot_be_meant_is_refused(space: Space, spec: Body, said: str) -> None:
    with pytest.raises(KubeError, match=said):
        space.submit(job("refused", space.bucket, numbered(1), **spec))
