"""Addresses of the API server: whatever people call things, a request is about what it says."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from bec_operator.act.ground.api_server import ApiError, apps, bec, core

PATHS: list[Callable[[str, str], str]] = [
    lambda namespace, name: core(namespace, "configmaps", name),
    lambda namespace, name: core(namespace, "pods", name, "status"),
    lambda namespace, name: bec(namespace, "jobs", name),
    lambda namespace, name: apps(namespace, "deployments", name),
]
HOST = "https://10.0.0.1:6443"


@given(namespace=st.text(min_size=1), name=st.text(min_size=1), path=st.sampled_from(PATHS))
@example(namespace="team-a", name="../../team-b/configmaps/x", path=PATHS[0])
@example(namespace="..", name="x", path=PATHS[0])
@example(namespace="team-a", name=".", path=PATHS[0])
@example(namespace="team-a", name="%2e%2e", path=PATHS[1])
@example(namespace="team-a", name="x?dryRun=All#", path=PATHS[2])
def test_a_request_never_leaves_its_place(
    namespace: str, name: str, path: Callable[[str, str], str]
) -> None:
    """As it is sent, each part is one part of the address, and says what was given."""
    try:
        made = path(namespace, name)
    except ApiError:
        return  # refused, as the next test has it
    plain, sent = URL(HOST + made).parts, URL(HOST + made, encoded=True).raw_path.split("/")
    assert namespace in plain
    assert name in plain
    assert [part for part in sent if part in {".", "..", ""}] == [""]  # before the first /
    assert len(sent) == len(path("ns", "x").split("/"))


@pytest.mark.parametrize("name", ["../../team-b/configmaps/x", "a/b", "..", "", " ", "a b", "ü"])
def test_what_can_be_no_name_is_refused_in_a_sentence(name: str) -> None:
    if not name:
        assert core("ns", "configmaps", name) == core("ns", "configmaps")
        return
    with pytest.raises(ApiError, match="can be the name of no object") as refused:
        core("ns", "configmaps", name)
    assert refused.value.final  # nobody tries again, as with a refusal by the API server


def test_a_name_that_is_one_stays_as_it_is() -> None:
    assert core("ns", "pods", "a-b.c", "log") == "/api/v1/namespaces/ns/pods/a-b.c/log"
    assert (
        core(None, "nodes", "ip-10-0-0-1.ec2.internal") == "/api/v1/nodes/ip-10-0-0-1.ec2.internal"
    )
