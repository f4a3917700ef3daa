"""What one black hole costs: volumes and time, with this operator and with another checkout's.

`python -m tests.scale.black_hole --against PATH`: n hosts, one of which fails at once whatever it
gets. The operator's own code decides, over a fake API server, in a time that jumps; so it takes a
minute, and comes out the same each time. `--against` is a checkout (made with `git worktree add`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.cluster.images import CHECKOUT
from tests.support.kube import Body
from tests.support.operator_process import sources
from tests.unit.decide.holes import Holes, Outcome
from tests.unit.decide.plan import Plan

console = Console(highlight=False)

NODES = tuple(f"n{number}" for number in range(1, 5))
VOLUMES = 200
SECONDS = 20.0  # that a volume takes


def _worker(plan: Plan) -> Outcome:
    """One worker of the pool, broken after its first volume: a poisoned GPU context."""
    with Holes(plan, NODES[:1]) as holes:
        holes.seconds = SECONDS
        holes.break_a_worker()
        return holes.play()


def _node(plan: Plan) -> Outcome:
    """One node of four, on which nothing goes well; what is made anew goes there first."""
    with Holes(plan, NODES, room=max(plan.pool // 4, 2)) as holes:
        holes.seconds, holes.bad_nodes, holes.prefers = SECONDS, {"n2"}, "n2"
        return holes.play()


def _well(plan: Plan) -> Outcome:
    with Holes(plan, NODES, room=2) as holes:
        holes.seconds = SECONDS
        return holes.play()


CASES = {
    "4 workers, all well": (_well, 4),
    "4 workers, 1 broken": (_worker, 4),
    "8 workers on 4 nodes, 1 node broken": (_node, 8),
    "8 pods on 4 nodes, all well": (_well, 0),
    "8 pods on 4 nodes, 1 node broken": (_node, 0),
}
"""What is played, each with the number of workers of its pool."""


def _figures(limit: int) -> dict[str, Body]:
    found = {}
    for name, (run, pool) in CASES.items():
        plan = Plan(VOLUMES, 50 if pool else 8, limit, keep_succeeded=0, pool=pool)
        out = run(plan)
        found[name] = {"failed": len(out.failed), "lost": out.lost, "seconds": round(out.seconds)}
    return found


def _of(checkout: Path, limit: int) -> dict[str, Body]:
    """Let the operator of a checkout do it, in a process of its own."""
    command = [sys.executable, "-m", "tests.scale.black_hole", "--play", "--limit", str(limit)]
    path = os.pathsep.join([sources(checkout), str(CHECKOUT)])
    environment = {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(
        command, env=environment, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Body] = json.loads(run.stdout.splitlines()[-1])
    return found


def main(
    against: Annotated[Path | None, typer.Option(help="a checkout to compare with")] = None,
    limit: Annotated[int, typer.Option(help="retry.limit")] = 3,
    play: Annotated[bool, typer.Option(help="print the figures as JSON, of this process")] = False,
) -> None:
    """Play all cases and print what they cost."""
    if play:
        typer.echo(json.dumps(_figures(limit)))
        return
    builds = {"now": _of(CHECKOUT, limit)}
    if against is not None:
        builds = {"then": _of(against.resolve(), limit), **builds}
    for name, figures in builds.items():
        title = f"{name}: {VOLUMES} volumes of {SECONDS:g} s, retry.limit {limit}"
        table = Table("hosts", "volumes lost", "attempts lost", "seconds", title=title)
        for case, cost in figures.items():
            table.add_row(case, *map(str, cost.values()))
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
