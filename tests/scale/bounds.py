"""Holds figures to the bounds in bounds.yaml."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator
from rich.console import Console
from rich.table import Table

FILE = Path(__file__).with_name("bounds.yaml")


class Bound(BaseModel):
    """One figure, the bound that it must keep, and the value that we aim at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    figure: str
    least: float | None = None
    most: float | None = None
    aim: float

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.least is None) == (self.most is None):
            raise ValueError(f"{self.figure}: say either least or most")
        return self

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        if self.least is not None:
            return value >= self.least
        assert self.most is not None
        return value <= self.most

    def reached(self, value: float) -> bool:
        """Whether a value is where we would like it to be."""
        return value >= self.aim if self.least is not None else value <= self.aim


def load(name: str) -> list[Bound]:
    """Return the bounds of a run."""
    return [Bound.model_validate(each) for each in yaml.safe_load(FILE.read_text())[name]]


def look_up(figures: Any, path: str) -> float | None:
    """Return the figure at a dotted path; None if it was not measured."""
    for part in path.split("."):
        if not isinstance(figures, dict) or part not in figures:
            return None
        figures = figures[part]
    return float(figures)


def check(console: Console, name: str, figures: Any) -> bool:
    """Print each bound beside its figure; False if one is broken. What was left out is said so."""
    table = Table("what", "bound", "aim", "measured", "", title=f"bounds of {name}")
    broken = 0
    for bound in load(name):
        value = look_up(figures, bound.figure)
        limit = f"≥ {bound.least:g}" if bound.least is not None else f"≤ {bound.most:g}"
        if value is None:
            table.add_row(bound.what, limit, f"{bound.aim:g}", "not measured", "")
            continue
        good = bound.holds(value)
        broken += not good
        verdict = ("aim reached" if bound.reached(value) else "holds") if good else "[red]BROKEN[/]"
        table.add_row(bound.what, limit, f"{bound.aim:g}", f"{value:g}", verdict)
    console.print(table)
    return not broken
