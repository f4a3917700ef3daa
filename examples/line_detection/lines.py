"""Finds the lines of text on a page, with no model: where ink is, how the page lies, its rows.

Every page is looked at in about the same size, so that the same few numbers fit them all; what is
found is told in pixels of the page as it is.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_SIZE = (1000, 1500)  # pixels: what the page is fitted into
_WINDOW = 31  # pixels: the surroundings of one in Sauvola's method, about a line of text
_SENSITIVITY = 0.2  # and how much darker than they ink has to be
_SPREAD = 128  # of grey values where there is as much ink as paper
_STEP = 0.1  # degrees
_SMALLEST = 12  # pixels from one line to the next
_BLUR = 1 / 3  # of that distance: what lies closer together is one line, as signs above letters
_GAP = 0.5  # between two lines is less ink than this part of what the lighter one has
_FAINT = 0.1  # a line has at least this part of the ink of a usual one


@dataclass(frozen=True)
class Box:
    """A line of text: its upper left corner and its size, in pixels of the page."""

    x: int
    y: int
    width: int
    height: int


def find_lines(page: Image.Image, max_skew: float = 3, margin: int = 0) -> list[Box]:
    """Return the lines of a page from top to bottom; none if the page is blank.

    The page may lie askew by `max_skew` degrees; `margin` is how many pixels of paper each line
    gets around its ink.
    """
    scale = min(_SIZE[0] / page.width, _SIZE[1] / page.height)
    size = (max(1, round(page.width * scale)), max(1, round(page.height * scale)))
    small = page.convert("L").resize(size, Image.Resampling.BOX)
    rows, columns = np.nonzero(_ink(np.asarray(small, dtype=np.float64)))
    if not rows.size:
        return []
    straight = _straighten(rows, columns, max_skew)
    ends = _cuts(np.bincount(straight).astype(np.float64))
    line_of = np.searchsorted(ends, straight, side="right")
    ink = np.bincount(line_of)
    usual = np.median(ink[ink > 0])
    found = [line_of == line for line in np.nonzero(ink >= usual * _FAINT)[0]]
    return [_box(rows[line] / scale, columns[line] / scale, margin, page) for line in found]


def _ink(grey: Floats) -> NDArray[np.bool_]:
    """Tell ink from paper by Sauvola's method, which follows light and shadow; no lone pixels."""
    mean = _local_mean(grey, _WINDOW)
    spread = np.sqrt(np.maximum(_local_mean(grey * grey, _WINDOW) - mean * mean, 0))
    dark = grey < mean * (1 + _SENSITIVITY * (spread / _SPREAD - 1))
    ink: NDArray[np.bool_] = _local_mean(dark.astype(np.float64), 3) > 0.5
    return ink


def _local_mean(values: Floats, window: int) -> Floats:
    """Return for each pixel the mean of the square around it; `window` is odd."""
    half = window // 2
    sums = np.pad(values, ((half + 1, half), (half + 1, half)), mode="edge")
    sums = sums.cumsum(axis=0).cumsum(axis=1)
    inside = sums[window:, window:] - sums[:-window, window:]
    return (inside - sums[window:, :-window] + sums[:-window, :-window]) / window**2


def _straighten(rows: Indices, columns: Indices, max_skew: float) -> Indices:
    """Return the rows that the ink would be in if the page lay straight: then they differ most."""

    def tilted(angle: float) -> Indices:
        moved: Indices = np.round(rows - columns * math.tan(math.radians(angle))).astype(np.intp)
        moved -= moved.min()
        return moved

    def contrast(angle: float) -> float:
        return float(np.square(np.bincount(tilted(angle)).astype(np.float64)).sum())

    steps = round(max_skew / _STEP)
    return tilted(max((step * _STEP for step in range(-steps, steps + 1)), key=contrast))


def _cuts(profile: Floats) -> list[int]:
    """Return the rows at which one line ends and the next begins, from the ink of each row."""
    distance = _line_distance(profile)
    blurred = _blur(profile, distance * _BLUR)
    lines: list[int] = []
    for peak in _peaks(blurred):
        if lines and blurred[lines[-1] : peak].min() > _GAP * min(blurred[[lines[-1], peak]]):
            lines[-1] = max(lines[-1], peak, key=lambda row: float(blurred[row]))
        else:
            lines.append(peak)
    fine = _blur(profile, distance * _BLUR / 2)
    return [_emptiest(fine, *between) for between in pairwise(lines)]


def _line_distance(profile: Floats) -> float:
    """Return how many rows one line is from the next: where the profile is most like itself."""
    wave = profile - profile.mean()
    likeness = np.correlate(wave, wave, "full")[len(wave) - 1 :]
    again = [peak for peak in _peaks(likeness) if peak >= _SMALLEST and likeness[peak] > 0]
    return max(again, key=lambda shift: float(likeness[shift]), default=len(profile))


def _peaks(values: Floats) -> list[int]:
    """Return where values are greater than before, and no less than after."""
    around = np.concatenate(([-np.inf], values, [-np.inf]))
    return [int(i) for i in np.nonzero((values > around[:-2]) & (values >= around[2:]))[0]]


def _blur(values: Floats, width: float) -> Floats:
    window = max(1, round(width))
    return np.convolve(values, np.full(window, 1 / window), "same")


def _emptiest(profile: Floats, first: int, last: int) -> int:
    """Return the row with least ink between two, the middle one of several."""
    between = profile[first:last]
    lowest = np.nonzero(between <= between.min() + 1e-6)[0]
    return first + int(lowest[len(lowest) // 2])


def _box(rows: Floats, columns: Floats, margin: int, page: Image.Image) -> Box:
    """Return what encloses this ink; rows and columns are in pixels of the page."""
    left, top = (max(0, int(places.min()) - margin) for places in (columns, rows))
    right, bottom = (math.ceil(places.max()) + 1 + margin for places in (columns, rows))
    return Box(left, top, min(right, page.width) - left, min(bottom, page.height) - top)
