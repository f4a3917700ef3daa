"""The CRDs that are checked in are those that the models make."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bec_operator.api.crd import crds
from bec_operator.api.job import JobSpec

FOLDER = Path(__file__).parents[3] / "crds"
SPEC: dict[str, Any] = {
    "volumes": {"items": [{"wId": "W1", "iId": "I1"}]},
    "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
    "output": {"bucket": "b"},
}


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: str(crd["metadata"]["name"]))
def test_nothing_has_drifted(crd: dict[str, Any]) -> None:
    assert yaml.safe_load((FOLDER / f"{crd['metadata']['name']}.yaml").read_text()) == crd


def test_no_reference_and_no_union_is_left() -> None:
    text = yaml.safe_dump(crds())
    for word in ("$ref", "$defs", "anyOf", "title:"):
        assert word not in text


def test_the_api_server_adds_nothing_within_arrays() -> None:
    """`external-secrets/external-secrets#6887`: an array is compared with its file as a whole.

    Argo CD said OutOfSync for ever.
    """
    for crd in crds():
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert list(defaults(schema)), "there are some"
        assert not list(defaults(schema, within=True))


def defaults(schema: dict[str, Any], path: str = "", *, within: bool = False) -> Iterator[str]:
    """Yield the places that have a default; with `within` those in arrays alone."""
    if "default" in schema and not within:
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from defaults(child, f"{path}.{name}", within=within)
    if "items" in schema:
        yield from defaults(schema["items"], f"{path}[]")


def test_defaults_are_the_same_in_model_and_crd() -> None:
    spec = JobSpec.model_validate(SPEC)
    job = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == "Job")
    fields = job["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    wire = spec.wire()
    for name in ("parallelism", "retry", "maxFailed", "history"):
        assert fields["properties"][name]["default"] == wire[name]


@pytest.mark.parametrize(
    ("expect", "said"),
    [(["/a"], "no path under the output"), (["*", "*"], "twice"), (["*"] * 17, "at most 16")],
)
def test_what_is_expected_is_checked(expect: list[str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JobSpec.model_validate({**SPEC, "output": {"bucket": "b", "expect": expect}})


@pytest.mark.parametrize(
    ("max_failed", "total", "allowed"),
    [("10%", 38_836, 3883), ("10%", 3, 0), ("100%", 7, 7), ("0%", 7, 0), (5, 3, 5)],
)
def test_failures_allowed(max_failed: str | int, total: int, allowed: int) -> None:
    spec = JobSpec.model_validate({**SPEC, "maxFailed": max_failed})
    assert spec.failures_allowed(total) == allowed
