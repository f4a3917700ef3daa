"""What a Job may say of sites, and what each fault is told as."""

from typing import Any

import pytest
from pydantic import ValidationError

from bec_operator.api.job import JobSpec
from bec_operator.api.sites import check_site

CERN: dict[str, Any] = {"name": "cern", "nodeSelector": {"topology.kubernetes.io/zone": "cern"}}
DESK: dict[str, Any] = {"name": "desk", "outside": True}
SPEC: dict[str, Any] = {
    "volumes": {"items": [{"wId": "W1", "iId": "I1", "site": "cern"}]},
    "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
    "output": {"bucket": "b"},
    "outside": {"allowed": True},
}


def spec(*of: dict[str, Any], policy: str = "Prefer", **more: Any) -> JobSpec:
    return JobSpec.model_validate({**SPEC, "sites": {"policy": policy, "of": list(of)}, **more})


def test_sites_are_found_by_their_names() -> None:
    sites = spec(CERN, DESK).sites
    assert sites is not None
    found = sites.find("desk")
    assert found is not None
    assert found.outside
    assert sites.find("Cern") is None
    assert (sites.patience, sites.requires) == ("10m", False)
    assert SPEC["volumes"]["items"][0]["site"] == "cern"


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"name": "cern"}, "a site needs a nodeSelector, or outside: true"),
        ({**CERN, "outside": True}, "a site needs a nodeSelector, or outside: true, and not both"),
        ({**CERN, "name": "a b"}, "name"),
        ({**CERN, "name": "x" * 64}, "name"),
        ({"name": "cern", "nodeSelector": {}}, "nodeSelector"),
        ({"name": "cern", "nodeSelector": {"a/b/c": "d"}}, "a key is no name of a label"),
        ({"name": "cern", "nodeSelector": {"a": "d e"}}, "a: the value is none that a label can"),
        ({**DESK, "tolerations": [{"operator": "Exists"}]}, "leave its tolerations out"),
        ({**CERN, "tolerations": [{"value": "x"}]}, "without a key needs operator: Exists"),
        ({**CERN, "tolerations": [{"operator": "Exists", "value": "x"}]}, "Exists has no value"),
    ],
)
def test_what_a_site_cannot_be(site: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(site)


def test_what_the_rest_of_the_job_has_to_do_with_it() -> None:
    with pytest.raises(ValidationError, match="the site cern is there twice"):
        spec(CERN, DESK, CERN)
    with pytest.raises(ValidationError, match=r"a site is outside: set outside\.allowed"):
        spec(CERN, DESK, outside={})
    with pytest.raises(ValidationError, match="policy Require and a pool: its workers"):
        spec(CERN, DESK, policy="Require", pool={})
    assert spec(DESK, policy="Require", pool={}).sites is not None
    assert spec(CERN, policy="Prefer", pool={}, outside={}).sites is not None


@pytest.mark.parametrize("name", ["T2_CH-CERN.1", "7", "x" * 63])
def test_names_of_sites(name: str) -> None:
    check_site(name)


@pytest.mark.parametrize("name", ["", "x" * 64, "-a", "a-", "a b", "a\n", "ä", "s3://x"])
def test_what_is_no_name_of_a_site(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a site; write letters"):
        check_site(name)


def test_of_what_is_no_name_little_is_told() -> None:
    with pytest.raises(ValueError, match=r"^site: 'x{32}'… is no") as told:
        check_site("x" * 100 + " secret")
    assert "secret" not in str(told.value)
