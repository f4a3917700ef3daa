"""The memory of two builds of the operator, one after the other on one machine.

`python -m tests.scale.two_builds --against PATH`: the operator of the checkout at PATH (made with
`git worktree add`), then ours; each has both Jobs of `tests.scale.full`, and is killed when half is
done. The figures go to `build/two-builds.json`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.cluster.images import CHECKOUT
from tests.scale import bounds, full
from tests.support.kube import Body

console = Console(highlight=False)


def _show(builds: dict[str, Body]) -> None:
    """Print what the memory was, and what it was made of, at each moment of both."""
    for name, figures in builds.items():
        moments: dict[str, Body] = figures["memory_moments"]
        columns = next(iter(moments.values()))
        table = Table("moment", *columns, title=f"{name}: memory in MB")
        for moment, parts in moments.items():
            table.add_row(moment, *(f"{parts[column]:g}" for column in columns))
        console.print(table)
        peaks = figures["memory_peaks_of_lives_mb"]
        rate = figures["tasks_per_second"]
        console.print(f"{name}: peaks of its lives {peaks} MB, {rate} tasks a second")


def main(
    against: Annotated[Path, typer.Option(help="a checkout, whose operator is the measure")],
    operator: Annotated[Path, typer.Option(help="the checkout that is held to it")] = CHECKOUT,
    volumes: Annotated[int, typer.Option(help="of the first job")] = full.FULL[0],
    gated: Annotated[int, typer.Option(help="of the one that depends on it")] = full.FULL[1],
    begun: Annotated[float, typer.Option(help="the share of both that is done already")] = 0.0,
) -> None:
    """Measure both, print, write build/two-builds.json, and fail if the bound is broken."""
    sizes = (volumes, gated)
    builds = {
        "then": full.play("build-then", sizes, against, begun),
        "now": full.play("build-now", sizes, operator, begun),
    }
    _show(builds)
    peaks = {name: figures["memory_peak_mb"] for name, figures in builds.items()}
    figures = {"memory_ratio": round(peaks["now"] / peaks["then"], 3), **builds}
    (CHECKOUT / "build" / "two-builds.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "two-builds", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
