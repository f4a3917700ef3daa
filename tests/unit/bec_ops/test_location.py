"""Output locations: what templates are refused, and that no two volumes ever meet."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bec_ops.contract.location import (
    MAX_PREFIX_BYTES,
    OutputTemplate,
    TemplateError,
    escape,
    log_key,
    may_be_log_of,
    reports_prefix,
)
from bec_ops.contract.volume import MAX_ID_CHARACTERS, Volume

DEFAULT = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"
TEMPLATES = [
    DEFAULT,
    "{job_id}/{w_id}/{i_id}-{i_version}/",
    "{job_id}-{w_id}-{i_version}-{i_id}/out/",
    "a/{w_id}@{i_version}/{i_id}=x/{job_id}/",
    "{i_id} {i_version} {w_id}/ocr/{job_id}/b/",
]

# Short ids out of the characters that could go wrong are the ones that might collide.
tricky = st.text(alphabet="A-/.%{}\\ 2DF_:~", min_size=1, max_size=6)
unicode = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=MAX_ID_CHARACTERS // 4
)
ids = st.one_of(tricky, unicode, st.sampled_from([".", "..", "../..", "-", "%2E", "/"]))
volumes = st.builds(Volume, ids, ids, st.one_of(st.just(""), ids))


def test_only_safe_characters_stay() -> None:
    assert escape("W1KG_12.3:x") == "W1KG_12.3:x"
    assert escape("A-B/c d%ཀ") == "A%2DB%2Fc%20d%25%E0%BD%80"
    assert escape(".") == "%2E"
    assert escape("..") == "%2E%2E"
    assert escape("...") == "..."


@given(ids, ids)
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


def test_the_default_template() -> None:
    template = OutputTemplate.parse(DEFAULT)
    versioned, plain = Volume("W1", "I-1", "v"), Volume("W1", "I-1")
    assert template.prefix("ocr", versioned) == "artefacts/ocr/W1-I%2D1-v/"
    assert template.prefix("ocr", plain) == "artefacts/ocr/W1-I%2D1/"
    assert template.common_folder("ocr") == "artefacts/ocr/"
    assert template.volume_folder("ocr", versioned) == "artefacts/ocr/W1-I%2D1-v/"


def test_folders_where_ids_have_components_of_their_own() -> None:
    template = OutputTemplate.parse("x/{w_id}/{i_id}/ocr/{job_id}/")
    volume = Volume("W1", "I1")
    assert template.common_folder("ocr") == "x/"
    assert template.volume_folder("ocr", volume) == "x/W1/"
    assert template.prefix("ocr", volume) == "x/W1/I1/ocr/ocr/"


def test_no_common_folder_where_an_id_comes_first() -> None:
    template = OutputTemplate.parse("{job_id}-{w_id}/{i_id}/")
    assert template.common_folder("ocr") == ""
    assert template.volume_folder("ocr", Volume("W1", "I1")) == "ocr-W1/"


@pytest.mark.parametrize("text", TEMPLATES)
@given(job_id=ids, one=volumes, other=volumes)
@example(job_id="j", one=Volume("A-B", "C"), other=Volume("A", "B-C"))
@example(job_id="j", one=Volume("A", "B-C"), other=Volume("A", "B", "C"))
def test_no_id_escapes_and_no_two_volumes_meet(
    text: str, job_id: str, one: Volume, other: Volume
) -> None:
    template = OutputTemplate.parse(text)
    try:
        prefixes = [template.prefix(job_id, volume) for volume in (one, other)]
    except TemplateError:
        assume(False)
    for prefix, volume in zip(prefixes, (one, other), strict=True):
        assert prefix.startswith(template.common_folder(job_id))
        assert prefix.startswith(template.volume_folder(job_id, volume))
        assert prefix.endswith("/")
        assert prefix.count("/") == text.count("/")
        assert not {"", ".", ".."} & set(prefix[:-1].split("/"))
    if one != other:
        assert not prefixes[0].startswith(prefixes[1])
        assert not prefixes[1].startswith(prefixes[0])


@given(job=ids, other=ids, volume=volumes)
def test_two_jobs_never_meet(job: str, other: str, volume: Volume) -> None:
    assume(job != other)
    template = OutputTemplate.parse(DEFAULT)
    assert template.common_folder(job) != template.common_folder(other)
    assert not template.prefix(job, volume).startswith(template.common_folder(other))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{job_id}/{wid}-{i_id}/", "unknown placeholder {wid}; known are {job_id}, {w_id}"),
        ("{job_id}/{}-{w_id}-{i_id}/", "unknown placeholder {}"),
        ("{job_id/{w_id}-{i_id}/", "stray brace"),
        ("{job_id}}/{w_id}-{i_id}/", "stray brace"),
        ("{{job_id}}/{w_id}-{i_id}/", "stray brace"),
        ("{w_id}-{i_id}/", "lacks {job_id}; write"),
        ("{job_id}/", "lacks {w_id} and {i_id}; write"),
        ("", "lacks {job_id} and {w_id} and {i_id}"),
        ("{job_id}/{w_id}-{w_id}-{i_id}/", "{w_id} more than once"),
        ("{job_id}/{w_id}-{i_id}-{i_version}-{i_version}/", "{i_version} more than once"),
        ("{job_id}/{w_id}-{i_id}", "must end in '/'; write '{job_id}/{w_id}-{i_id}/'"),
        ("/{job_id}/{w_id}-{i_id}/", "inside the bucket"),
        ("s3://b/{job_id}/{w_id}-{i_id}/", "inside the bucket"),
        ("{job_id}//{w_id}-{i_id}/", "holds '//'"),
        ("{job_id}/{w_id}-{i_id}//", "holds '//'"),
        ("{job_id}/./{w_id}-{i_id}/", "the component '.'"),
        ("../{job_id}/{w_id}-{i_id}/", "the component '..'"),
        ("a\n/{job_id}/{w_id}-{i_id}/", "control character"),
        ("{job_id}/{w_id}{i_id}/", "between {w_id} and {i_id} stands ''"),
        ("{job_id}/{w_id}_{i_id}/", "between {w_id} and {i_id} stands '_'"),
        ("{job_id}/{w_id}%2D{i_id}/", "between {w_id} and {i_id} stands '%2D'"),
        ("{i_version}-{job_id}/{w_id}-{i_id}/", "{i_version} before all other"),
    ],
)
def test_a_bad_template_is_refused_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(said)):
        OutputTemplate.parse(text)


def test_a_version_needs_its_placeholder() -> None:
    template = OutputTemplate.parse("{job_id}/{w_id}-{i_id}/")
    with pytest.raises(TemplateError, match=r"W1/I1@v has a version.*add {i_version}"):
        template.prefix("j", Volume("W1", "I1", "v"))


def test_a_volume_without_version_does_not_become_the_parent_of_others() -> None:
    template = OutputTemplate.parse("{job_id}/{w_id}/{i_id}/{i_version}/")
    assert template.prefix("j", Volume("W1", "I1", "v")) == "j/W1/I1/v/"
    with pytest.raises(TemplateError, match="W1/I1 has no version"):
        template.prefix("j", Volume("W1", "I1"))


def test_a_key_that_s3_would_refuse_is_refused_here() -> None:
    template = OutputTemplate.parse(DEFAULT)
    assert len(template.prefix("j", Volume("ཀ" * 54, "ཀ" * 54))) < MAX_PREFIX_BYTES
    with pytest.raises(TemplateError, match="would have 1022 bytes"):
        template.prefix("j", Volume("ཀ" * 56, "ཀ" * 56))


@pytest.mark.parametrize("volume", [Volume("", "I1"), Volume("W1", "\0")])
def test_a_prefix_takes_only_ids(volume: Volume) -> None:
    with pytest.raises(ValueError, match=r"^(w|i)_id: "):
        OutputTemplate.parse(DEFAULT).prefix("j", volume)


def test_reports_have_a_place_of_their_own() -> None:
    assert reports_prefix("artefacts/{job_id}/_job/", "a-b/..") == "artefacts/a%2Db%2F../_job/"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reports/", "lacks {job_id}"),
        ("{job_id}/{w_id}/", "unknown placeholder {w_id}; known are {job_id}"),
        ("{job_id}/_job", "must end in '/'"),
        ("{job_id}/../", "the component '..'"),
    ],
)
def test_a_bad_place_for_reports_is_refused(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(said)):
        reports_prefix(text, "j")


def test_logs_of_two_tasks_of_a_volume_have_two_names() -> None:
    """airbytehq/airbyte#4235: attempts of the next task begin at 1 again."""
    first, second = "1a2b3c4d-1111-4222-8333-444455556666", "9f8e7d6c-1111-4222-8333-444455556666"
    assert log_key("p/", 1, first) == "p/_logs/attempt-1-1a2b3c4d.log"
    assert log_key("p/", 1, "") == "p/_logs/attempt-1.log"
    assert "/../" not in log_key("", 1, "/../x")
    own = log_key("", 1, first)
    assert may_be_log_of(own, 1, first)
    assert not may_be_log_of(own, 1, second)
    assert not may_be_log_of(own, 2, first)
    assert may_be_log_of("worker.log", 1, first), "a worker's own name"
    assert may_be_log_of("_logs/attempt-1.log", 1, first), "of an older library"
