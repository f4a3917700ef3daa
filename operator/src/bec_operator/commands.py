"""The commands of `bec-operator` beside the operator itself."""

import argparse
from collections.abc import Sequence

from bec_operator import enrol, migrate


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say, and return the exit code: 0, 1 for trouble, 2 for usage."""
    parser = argparse.ArgumentParser(
        prog="bec-operator", description="Without arguments, it runs the operator."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    migrate.add_to(commands)
    enrol.add_to(commands)
    try:
        given = parser.parse_args(arguments)
        return int(given.do(given))
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
