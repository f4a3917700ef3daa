"""The line detection example: the right number of lines, and each box around its own."""

import io

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from bec_operator.api.job import JobSpec
from bec_ops.contract.returned import as_text, json_of
from bec_ops.contract.returned_schema import fault_of
from bec_ops.contract.volume import Volume
from examples.line_detection.lines import Box, find_lines
from examples.line_detection.worker import Found, Parameters, UnreadableError, open_page
from examples.ocr.make_pages import BOOKS, Page
from tests.cluster.images import CHECKOUT

MANIFEST = CHECKOUT / "examples/line_detection/job.yaml"
PAGES = [page for book in BOOKS for page in book.pages()]
WIDTH, TOP, HEIGHT, DISTANCE, LEFT, RIGHT = 2400, 150, 50, 90, 100, 2300


def synthetic(lines: int, skew: float = 0, paper: int = 220) -> Image.Image:
    """Draw a page whose lines are rows of blocks, as letters are; `skew` in degrees."""
    page = Image.new("L", (WIDTH, 2 * TOP + DISTANCE * lines), paper)
    draw = ImageDraw.Draw(page)
    for line in range(lines):
        y = TOP + DISTANCE * line
        for x in range(LEFT, RIGHT, 40):
            draw.rectangle((x, y, x + 25, y + HEIGHT - 1), fill=30)
    return page.rotate(skew, Image.Resampling.BICUBIC, fillcolor=paper)


@pytest.mark.parametrize("lines", [1, 2, 7, 30])
def test_each_box_is_around_its_line(lines: int) -> None:
    boxes = find_lines(synthetic(lines))
    assert len(boxes) == lines
    for line, box in enumerate(boxes):
        assert box.x == pytest.approx(LEFT, abs=4)
        assert box.x + box.width == pytest.approx(RIGHT - 15, abs=4)
        assert box.y == pytest.approx(TOP + DISTANCE * line, abs=4)
        assert box.height == pytest.approx(HEIGHT, abs=8)


@pytest.mark.parametrize("skew", [-2.5, -1, 0.4, 2.5])
def test_a_page_that_lies_askew(skew: float) -> None:
    assert len(find_lines(synthetic(12, skew))) == 12


def test_beyond_the_skew_that_is_looked_for_lines_are_not_told_apart() -> None:
    page = synthetic(12, 2.5)
    assert len(find_lines(page, max_skew=0)) != 12


@pytest.mark.parametrize("paper", [150, 255])
def test_a_blank_page_has_no_lines(paper: int) -> None:
    noise = np.random.default_rng(1).normal(paper, 6, (900, 700)).clip(0, 255)
    assert find_lines(Image.fromarray(noise.astype(np.uint8))) == []
    assert find_lines(Image.new("1", (1, 1), 1)) == []


def test_specks_are_no_lines() -> None:
    page = synthetic(5)
    draw = ImageDraw.Draw(page)
    for x in range(200, 2200, 500):
        draw.ellipse((x, 40, x + 9, 49), fill=30)
    assert len(find_lines(page)) == 5


def test_the_margin_ends_at_the_edge_of_the_page() -> None:
    page = synthetic(1)
    (close,), (far,) = find_lines(page), find_lines(page, margin=120)
    assert far == Box(0, close.y - 120, WIDTH, close.height + 240)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.text[:9]}-{page.number}")
def test_the_pages_that_ocr_reads(page: Page) -> None:
    image = open_page(page.png())
    boxes = find_lines(image, margin=Parameters().margin)
    assert len(boxes) == len(page.text.strip().splitlines())
    tops = [box.y for box in boxes]
    assert tops == sorted(tops)
    for box in boxes:
        assert 0 <= box.x < box.x + box.width <= image.width
        assert 0 <= box.y < box.y + box.height <= image.height


def test_what_is_no_whole_image() -> None:
    whole = PAGES[0].png()
    for image in (b"", b"no image", whole[: len(whole) // 2]):
        with pytest.raises(UnreadableError):
            open_page(image)


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "CMYK"])
def test_pages_of_all_kinds(mode: str) -> None:
    buffer = io.BytesIO()
    synthetic(3).convert(mode).save(buffer, "tiff")
    assert len(find_lines(open_page(buffer.getvalue()))) == 3


def test_the_job_has_the_volumes_of_the_ocr_job() -> None:
    spec = JobSpec.model_validate(yaml.safe_load(MANIFEST.read_text())["spec"])
    items = spec.volumes.items or []
    assert [Volume(i.w_id, i.i_id, i.i_version) for i in items] == [book.volume for book in BOOKS]
    assert Parameters.model_validate(spec.worker.parameters) == Parameters()


def test_the_job_demands_what_the_handler_returns() -> None:
    schema = JobSpec.model_validate(yaml.safe_load(MANIFEST.read_text())["spec"]).worker.result
    assert schema is not None
    assert fault_of(as_text(json_of(Found(pages=3, lines=0))), schema) == ""
    assert fault_of('{"pages":0,"lines":0}', schema)
    written = Found.model_json_schema()
    assert written["required"] == schema["required"]
    assert {n: p | {"title": n.title()} for n, p in schema["properties"].items()} == (
        written["properties"]
    )
