"""Pods of a real kubelet are read as what they were."""

import pytest

from bec_operator.act.kube.pod_records import pod_of
from tests.support.recorded import NAMES, Recorded

ALIVE = {"Pending", "Running"}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_read_whole(name: str) -> None:
    found = Recorded.read(name)
    pod = pod_of(found.pod, None, 1.0)
    assert pod.uid == found.pod["metadata"]["uid"]
    assert pod.alive == (found.pod["status"]["phase"] in ALIVE)
    assert all(found.source[what] for what in ("kubernetes", "runtime", "date", "made"))
    assert all(event["involvedObject"]["uid"] == pod.uid for event in found.events)
