"""Answers of the API server that are nested deeper than any reader goes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.ground.deep_json import CUT, MAX_DEPTH, read_json
from bec_operator.act.kube.records import job_of


def _nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


_JOB = """{
  "metadata": {"name": "NAME", "namespace": "ns", "uid": "NAME", "resourceVersion": "5"},
  "spec": {
    "volumes": {"items": [{"wId": "W", "iId": "I"}]},
    "output": {"bucket": "b"},
    "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}, "parameters": FREE}
  }
}"""


def _job(name: str, parameters: str) -> str:
    return _JOB.replace("NAME", name).replace("FREE", parameters)


_JSON = st.recursive(
    st.none() | st.text() | st.integers(-5, 5),
    lambda more: st.lists(more) | st.dictionaries(st.text(), more),
)


@pytest.mark.parametrize("levels", [1100, 3000, 9900])
def test_one_deep_job_hides_no_other(levels: int) -> None:
    listed = f'{{"items":[{_job("well", "{}")},{_job("deep", _nested(levels))}]}}'
    well, deep = (job_of(item) for item in read_json(listed.encode())["items"])
    assert (well.name, well.problem) == ("well", "")
    assert deep.spec is None
    assert "nested far deeper than 100 levels" in deep.problem


def test_an_event_about_a_deep_job_can_be_read() -> None:
    event = read_json(f'{{"type":"ADDED","object":{_job("deep", _nested(2000))}}}'.encode())
    assert event["object"][CUT] is True
    assert event["object"]["metadata"]["name"] == "deep"


@pytest.mark.parametrize("levels", [101, 250, 300, 900])
def test_what_can_be_read_but_not_handled_is_refused(levels: int) -> None:
    """Copying a template, or writing parameters as text, gives up at some 300 levels."""
    job = job_of(read_json(_job("deep", _nested(levels)).encode()))
    assert job.spec is None
    assert "spec.worker.parameters" in job.problem
    assert "nested more than 100 levels deep" in job.problem


def test_what_is_no_json_is_still_an_error() -> None:
    for text in ('{"a":', "nonsense", '{"a":' * 3000, "[" * 3000):
        with pytest.raises(ValueError, match="line 1"):
            read_json(text.encode())


@given(_JSON)
def test_texts_with_brackets_and_quotes_are_left_as_they_are(value: object) -> None:
    beside = json.dumps({"beside": value})
    answer = read_json(f'{{"items":[{beside},{_nested(MAX_DEPTH * 6)}]}}'.encode())
    assert answer["items"][0] == json.loads(beside)
    assert answer["items"][1][CUT] is True
