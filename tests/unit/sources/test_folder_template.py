"""Templates of folders: which LISTs they ask for, what fits them, and which are refused."""

import hashlib
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from bec_operator.api.listing import ListingSource
from bec_operator.sources.folder_template import FolderTemplate, volume_of
from bec_operator.sources.listed_folders import shown, volumes_of_folders
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.volume import Volume

ARCHIVE = "s3://archive/Works/{shard}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"


def parse(uri: str) -> FolderTemplate:
    return FolderTemplate.parse(ListingSource(uri=uri).uri)


def md5(w_id: str) -> str:
    return hashlib.md5(w_id.encode(), usedforsecurity=False).hexdigest()[:2]


def walked(uri: str, *folders: str) -> list[Volume]:
    """Return the volumes of folders of the last level that fit."""
    last = parse(uri).levels[-1]
    found = map(last.values, folders)
    return [volume_of(values) for values in found if values is not None]


def prefixes(uri: str, *folders: str) -> list[str]:
    """Return what is listed on the way to a volume, of which `folders` are on each level."""
    asked = []
    above, known = "", dict[str, str]()
    for level, folder in zip(parse(uri).levels, [*folders, ""], strict=True):
        asked.append(level.prefix(above, known))
        above, found = folder, level.values(folder)
        known = dict(found or {})
    return asked


def test_what_is_known_is_not_listed() -> None:
    works = "Works/60/"
    assert prefixes(ARCHIVE, works, f"{works}W22084/") == [
        "Works/",
        works,
        f"{works}W22084/images/W22084-",
    ]
    assert prefixes("s3://b/{w_id}/{w_id}/x/{i_id}/y/z", "W1/") == ["", "W1/W1/x/"]
    assert prefixes("s3://b/W{w_id}/I{i_id}.pdf", "W7/") == ["W", "W7/I"]
    assert prefixes("s3://b/{w_id}/{i_id}/{w_id}", "W1/", "W1/I1/")[-1] == "W1/I1/W1"


@pytest.mark.parametrize(
    ("uri", "folder", "expected"),
    [
        (ARCHIVE, "Works/60/W22084/images/W22084-0886/", Volume("W22084", "I0886")),
        (ARCHIVE, "Works/60/W22084/images/W22084-I1KG9/", Volume("W22084", "I1KG9")),
        (ARCHIVE, "Works/zz/W-1/images/W-1-a-b/", Volume("W-1", "a-b")),
        (ARCHIVE, "Works/60/W22084/images/W2208-0886/", None),
        (ARCHIVE, "Works/60/W22084/images/W22084-/", None),
        (ARCHIVE, "Works/60/W22084/image/W22084-0886/", None),
        (ARCHIVE, "Works//W22084/images/W22084-0886/", None),
        (ARCHIVE, "Works/60/W22084/images/W22084-0886/x/", None),
        ("s3://b/{w_md5}/{w_id}/{i_id}/", "60/W22084/0886/", Volume("W22084", "0886")),
        ("s3://b/{w_md5}/{w_id}/{i_id}/", "61/W22084/0886/", None),
        ("s3://b/{w_md5}-{w_id}/{i_id}/", "60-W22084/I1/", Volume("W22084", "I1")),
        ("s3://b/{w_md5}-{w_id}/{i_id}/", "6-W22084/I1/", None),
        ("s3://b/{w_id}/{i_id}/{i_folder}/", "W1/I0001/0001/", Volume("W1", "I0001")),
        ("s3://b/{w_id}/{i_id}/{i_folder}/", "W1/I0001/0002/", None),
        ("s3://b/{w_id}/{i_id}/{i_version}/x", "W1/I1/v.7/", Volume("W1", "I1", "v.7")),
        ("s3://b/{x}.{x}/{w_id}/{i_id}", "a.b.a.b/W1/I\n1/", Volume("W1", "I\n1")),
        ("s3://b/{x}.{x}/{w_id}/{i_id}", "a.b/W1/I1/", None),
        ("s3://b/w+/{w_id}/{i_id}.txt", "w+/W1/I1.txt/", Volume("W1", "I1")),
        ("s3://b/w+/{w_id}/{i_id}.txt", "w+/W1/I1_txt/", None),
    ],
)
def test_what_fits(uri: str, folder: str, expected: Volume | None) -> None:
    assert walked(uri, folder) == ([] if expected is None else [expected])


def test_what_is_hostile_takes_no_time() -> None:
    assert walked("s3://b/{w_id}/{x}-{x}-{x}/{i_id}/", f"W/{'-' * 900}/{'x' * 100}") == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://b/{i_id}/", "write {w_id} into it"),
        ("s3://b/{w_id}/{x}/", "write {i_id} or {i_folder} into it"),
        ("s3://b/{w_id}-{i_id}/", "{w_id} has to stand in a folder above as well, as in {w_id}/{w"),
        ("s3://b/{w_id}/{x}-{i_id}/", "can fit one name in two ways"),
        ("s3://b/{w_id}-{i_id}/{w_id}/", "can fit one name in two ways"),
        ("s3://b/{w_id}/{w_id}{i_id}/", "write {w_id}-{i_id} or {w_id}/{i_id}"),
        ("s3://b/{w_md5}{w_id}/{i_id}/", "nothing says where one ends"),
        ("s3://b/{w_id}/{i_id}/{", "a brace that belongs to no placeholder"),
        ("s3://b/{w_id}/{i id}/{i_id}", "a brace that belongs to no placeholder"),
        ("s3://{w_id}/{i_id}/", "should match pattern"),
        ("s3://b", "should match pattern"),
    ],
)
def test_what_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        ListingSource(uri=uri)


IDS = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
TEMPLATES = st.sampled_from(
    [
        ARCHIVE,
        "s3://b/{w_md5}/{w_id}/{i_id}/",
        "s3://b/{shard}-{shard}/x{w_id}y/{w_id}-{i_id}-{w_id}/{i_version}.json",
        "s3://b/{w_id}/{w_id}.{i_folder}/{w_id}-{x}/",
        "s3://b/{i_version}/{w_md5}.{w_id}/{w_md5}/{i_id}/{i_folder}",
    ]
)


@given(TEMPLATES, IDS, IDS, IDS, IDS)
def test_what_is_written_is_read_back(uri: str, w_id: str, i_id: str, more: str, x: str) -> None:
    assume(not re.fullmatch(r"\d{4}", i_id) or "{i_folder}" not in uri)
    group = re.fullmatch(r"I(\d{4})", i_id)
    values = {
        "w_id": w_id,
        "i_id": i_id,
        "i_version": more,
        "i_folder": group[1] if group else i_id,
        "w_md5": md5(w_id),
        "shard": x,
        "x": x,
    }
    template = parse(uri)
    parts = uri.removeprefix(f"s3://{template.bucket}/").removesuffix("dimensions.json").strip("/")
    written = parts.format(**values) + "/"
    folders = [written[: end + 1] for end, char in enumerate(written) if char == "/"]

    above, known = "", dict[str, str]()
    found = None
    for level in template.levels:
        prefix = level.prefix(above, known)
        assert written.startswith(prefix), "it is shown by the LIST"
        above = next(f for f in folders if len(f) > len(prefix))
        found = level.values(above)
        assert found is not None
        known = dict(found)
    assert found is not None
    expected = Volume(w_id, i_id, more if "{i_version}" in uri else "")
    assert volume_of(found) == expected


def test_folders_are_volumes_and_each_fault_has_its_place() -> None:
    template = parse("s3://b/{x}/{w_id}/{i_folder}/")
    good = ["a/W1/0001/", "a/W1/0002/", "b/W1/x/"]
    assert volumes_of_folders(template, lambda: good) == [
        Volume("W1", "I0001"),
        Volume("W1", "I0002"),
        Volume("W1", "x"),
    ]
    said = "W1/I0002 has two folders, s3://b/a/W1/0002/ and s3://b/c/W1/I0002/; take one away"
    with pytest.raises(ListError, match=said):
        volumes_of_folders(template, lambda: [*good, "c/W1/I0002/"])
    with pytest.raises(ListError, match=r"'s3://b/a/W1/\\x07/' fits it .* U\+0007"):
        volumes_of_folders(template, lambda: ["a/W1/\x07/"])


def test_a_place_is_told_in_few_words() -> None:
    assert len(shown("b", "x" * 1024)) < 210
    assert "\n" not in shown("b", "x\n/")
