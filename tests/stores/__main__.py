"""Runs the store and sweep suite against real S3 servers: `python -m tests.stores [NAME…]`.

Installs what it needs, prints a table, and fails if a test failed on one of them.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.cluster import ClusterError

from .choosing import REPORT
from .servers import SERVERS, VARIABLE, StoreServer, named

_ROOT = Path(__file__).parents[2]
_SUITE = ("-m", "stores", "tests/integration")


@dataclass(frozen=True)
class Outcome:
    """How the suite ended on one server."""

    server: StoreServer
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    not_asked: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether tests ran, and all of them passed."""
        return self.code == 0 and self.passed > 0 and not self.failed


def _run(server: StoreServer) -> Outcome:
    """Run the suite in a process of its own, whose output is for who watches."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            (sys.executable, "-m", "pytest", "-q", *_SUITE),
            cwd=_ROOT,
            env={**os.environ, VARIABLE: server.name, REPORT: str(report)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        found = json.loads(report.read_text()) if report.exists() else {}
    outcomes, reasons = found.get("outcomes", {}), found.get("not asked", {})
    return Outcome(
        server,
        done.returncode,
        time.monotonic() - began,
        outcomes.get("passed", 0),
        sum(count for outcome, count in outcomes.items() if outcome != "passed"),
        tuple(f"{count}: {reason}" for reason, count in reasons.items()),
    )


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("server", "version", "passed", "failed", "not asked", "seconds", "")
    for each in outcomes:
        table.add_row(
            each.server.name,
            each.server.version,
            str(each.passed),
            str(each.failed),
            "\n".join(each.not_asked),
            f"{each.seconds:.0f}",
            "passed" if each.good else "FAILED",
        )
    return table


def main(words: list[str]) -> int:
    """Run what is named, one server after the other; returns 1 if one of them failed."""
    console = Console()
    servers = [named(word) for word in words or SERVERS]
    for server in servers:
        server.program()
    outcomes = []
    for server in servers:
        console.rule(f"{server.name} {server.version}")
        outcomes.append(_run(server))
    console.print(_table(outcomes))
    return 0 if all(each.good for each in outcomes) else 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        raise SystemExit(main(sys.argv[1:]))
    except ClusterError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
