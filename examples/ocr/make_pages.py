"""Makes the input of the OCR job: a few small volumes of page images whose text is known.

Most pages are rendered from the texts beside this file, then skewed, lit from one side and
noised, the same each time. One is real: a page out of focus that scikit-image carries.

    python -m examples.ocr.make_pages FOLDER
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

from bec_ops.store import Store
from bec_ops.volume import Volume
from examples.ocr.worker import images_prefix

_TEXTS = Path(__file__).parent / "texts"
_FONTS = Path("/usr/share/fonts/truetype")
_MACHINE = _FONTS / "tibetan-machine/TibetanMachineUni.ttf"
_NOTO = _FONTS / "noto/NotoSerifTibetan-Regular.ttf"
_LATIN = _FONTS / "noto/NotoSerif-Regular.ttf"
_SCAN = None  # no font: the page is there already

_INK, _PAPER = 35, 225  # grey values
_MARGIN = 70  # pixels
_SCALE = 3  # Tesseract wants letters about 30 pixels high; the real page's have 10


@dataclass(frozen=True)
class Book:
    """A volume, where its text is, and in which font it is printed."""

    volume: Volume
    texts: str
    font: Path | None

    def pages(self) -> Iterator["Page"]:
        """Make the volume's pages, in their order."""
        for file in sorted((_TEXTS / self.texts).glob("*.txt")):
            yield Page(file.stem, file.read_text(encoding="utf-8"), self.font)


@dataclass(frozen=True)
class Page:
    """A page by its number, with its true text."""

    number: str
    text: str
    font: Path | None

    def png(self) -> bytes:
        """Make the page's image."""
        image = _render(self.text, self.font) if self.font else _real_page()
        buffer = io.BytesIO()
        image.save(buffer, "png")
        return buffer.getvalue()


BOOKS = (
    Book(Volume("W0EX1", "I0EX1", "4f1a9c"), "heart-sutra", _MACHINE),
    Book(Volume("W0EX2", "I0EX2", "8d02b7"), "verses", _NOTO),
    Book(Volume("W0EX2", "I0EX3", "19ce50"), "practices", _MACHINE),
    Book(Volume("W0EX3", "I0EX4", "b3770e"), "reading-room", _LATIN),
    Book(Volume("bnf:W0EX4", "I0EX5"), "river", _LATIN),
    Book(Volume("W0EX5", "I0EX6", "62e4d1"), "scan", _SCAN),
)


def upload(store: Store, bucket: str) -> int:
    """Write the pages that are not in S3 yet, and return how many those are."""
    there = set(store.list_keys(bucket, "images/"))
    made = 0
    for book in BOOKS:
        for page in book.pages():
            key = f"{images_prefix(book.volume)}{page.number}.png"
            if key not in there:
                store.put(bucket, key, page.png(), "image/png")
                made += 1
    return made


def _render(text: str, font_file: Path) -> Image.Image:
    """Print a text, then treat the page as scanners and time do; 8 bits of grey."""
    if not features.check("raqm"):
        raise SystemExit("Pillow cannot shape Tibetan without fribidi: install libfribidi0")
    if not font_file.exists():
        raise SystemExit(
            f"{font_file} is missing: install fonts-tibetan-machine and fonts-noto-core"
        )
    font = ImageFont.truetype(font_file, 44, layout_engine=ImageFont.Layout.RAQM)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font, spacing=26)
    size = (int(box[2]) + 2 * _MARGIN, int(box[3]) + 2 * _MARGIN)
    page = Image.new("L", size, _PAPER)
    ImageDraw.Draw(page).multiline_text((_MARGIN, _MARGIN), text, _INK, font, spacing=26)

    random = np.random.default_rng(zlib.crc32(text.encode()))
    angle = random.uniform(0.3, 0.9) * random.choice([-1, 1])
    page = page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_PAPER)
    page = page.filter(ImageFilter.GaussianBlur(0.8))
    light = np.linspace(1.05, 0.85, page.width)
    noisy = np.asarray(page) * light + random.normal(0, 9, (page.height, page.width))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _real_page() -> Image.Image:
    with as_file(files("skimage") / "data" / "page.png") as file, Image.open(file) as image:
        size = (image.width * _SCALE, image.height * _SCALE)
        return image.resize(size, Image.Resampling.LANCZOS)


def main(folder: Annotated[Path, typer.Argument(help="where to write the volumes")]) -> None:
    """Write the volumes to a folder, each page's true text beside its image."""
    for book in BOOKS:
        volume = folder / images_prefix(book.volume)
        volume.mkdir(parents=True, exist_ok=True)
        for page in book.pages():
            (volume / f"{page.number}.png").write_bytes(page.png())
            (volume / f"{page.number}.txt").write_text(page.text, encoding="utf-8")
        print(volume)


if __name__ == "__main__":
    typer.run(main)
