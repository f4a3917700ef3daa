"""The OCR example: its pages, and the measure that tells reading from noise."""

from itertools import permutations
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.api.job import JobSpec
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from examples.demo import MANIFEST
from examples.ocr.accuracy import MAX_ERROR_RATE, error_rate
from examples.ocr.make_pages import BOOKS, main
from examples.ocr.worker import (
    PageLines,
    Parameters,
    UnreadableError,
    images_prefix,
    read_lines,
)
from tests.cluster.images import CHECKOUT

words = st.text(alphabet="ཀ་ཁ། ab", max_size=12)


@pytest.mark.parametrize(
    ("found", "true", "edits"),
    [
        ("བཀྲ་ཤིས", "བཀྲ་ཤིས", 0),
        ("", "abcd", 4),
        ("abxd", "abcd", 1),
        ("abd", "abcd", 1),
        ("abccd", "abcd", 1),
        ("badc", "abcd", 3),
        ("kitten", "sitting", 3),
        ("a\n b\t\tc ", "a b c", 0),
        ("e\u0301", "\u00e9", 0),
    ],
)
def test_errors_are_edits_per_true_character(found: str, true: str, edits: int) -> None:
    assert error_rate(found, true) == pytest.approx(edits / len(true))


@given(words, words.filter(str.strip))
def test_the_error_rate_keeps_its_bounds(found: str, true: str) -> None:
    longest = max(len(" ".join(text.split())) for text in (found, true))
    rate = error_rate(found, true)
    assert 0 <= rate * len(" ".join(true.split())) <= longest
    assert (rate == 0) == (found.split() == true.split())


def test_without_a_true_text_there_is_no_rate() -> None:
    with pytest.raises(ValueError, match="no true text"):
        error_rate("a", " \n")


def test_a_page_in_the_place_of_another_is_far_from_the_bound() -> None:
    pages = [page.text for book in BOOKS for page in book.pages()]
    assert min(error_rate(*pair) for pair in permutations(pages, 2)) > MAX_ERROR_RATE + 0.2


def test_the_job_names_exactly_the_volumes_that_are_made() -> None:
    spec = JobSpec.model_validate(yaml.safe_load(MANIFEST.read_text())["spec"])
    items = spec.volumes.items or []
    assert [Volume(i.w_id, i.i_id, i.i_version) for i in items] == [book.volume for book in BOOKS]
    assert Parameters.model_validate(spec.worker.parameters) == Parameters()
    template = OutputTemplate.parse(spec.output.prefix)
    assert len({template.prefix("ocr", book.volume) for book in BOOKS}) == len(BOOKS)


def test_ocr_by_lines_waits_for_the_job_whose_lines_it_reads() -> None:
    described = yaml.safe_load(MANIFEST.with_name("job-by-lines.yaml").read_text())
    lines = yaml.safe_load((CHECKOUT / "examples/line_detection/job.yaml").read_text())
    whole = yaml.safe_load(MANIFEST.read_text())
    assert described["spec"]["volumes"] == whole["spec"]["volumes"]
    spec = JobSpec.model_validate(described["spec"])
    parameters = Parameters.model_validate(spec.worker.parameters)
    assert [d.job for d in spec.depends_on] == [lines["metadata"]["name"]] == [parameters.lines]
    assert described["metadata"]["name"] not in {whole["metadata"]["name"], parameters.lines}


# What stands for Tesseract: it tells the size of each image that it is given a list of.
TESSERACT = """#!/bin/bash
while read -r file; do sed -n 2p "$file"; done <"$1"
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    program = tmp_path / "bin/tesseract"
    program.parent.mkdir()
    program.write_text(TESSERACT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return next(BOOKS[0].pages()).png()


def found(**fields: object) -> PageLines:
    boxes = [
        {"x": 10, "y": 20, "width": 700, "height": 80},
        {"x": 0, "y": 99, "width": 9, "height": 8},
    ]
    return PageLines.model_validate({"width": 834, "height": 552, "lines": boxes, **fields})


def test_each_line_is_read_by_itself(tmp_path: Path, page: bytes) -> None:
    assert read_lines(tmp_path, Parameters(), page, found()) == "700 80\n9 8\n"
    assert [file.name for file in tmp_path.iterdir()] == ["bin"]
    assert read_lines(tmp_path, Parameters(), b"not looked at", found(lines=[])) == ""


def test_lines_of_another_image_are_not_read(tmp_path: Path, page: bytes) -> None:
    with pytest.raises(UnreadableError, match="has 834 x 552 pixels, and had 900 x 552"):
        read_lines(tmp_path, Parameters(), page, found(width=900))
    with pytest.raises(UnreadableError, match="cannot identify"):
        read_lines(tmp_path, Parameters(), b"no image", found())


def test_pages_come_out_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        main(tmp_path / folder)
    made = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert len(made) == sum(len(list(book.pages())) for book in BOOKS) == 11
    contents = {(tmp_path / "one" / path).read_bytes() for path in made}
    assert contents == {(tmp_path / "two" / path).read_bytes() for path in made}
    assert len(contents) == 11
    assert (tmp_path / "one" / images_prefix(BOOKS[0].volume) / "0001.txt").exists()
