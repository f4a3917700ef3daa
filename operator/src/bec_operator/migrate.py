"""The command `bec-operator migrate`: makes the tables that results go to, or brings them up."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bec_operator.act.connections.results.own.head import HEAD, SCHEMA
from bec_operator.act.connections.results.own.migrating import as_sql, migrate
from bec_operator.act.ground.connections import Connection, ConnectionTrouble

FOLDER = "/etc/bec/connections"


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say, and return the exit code: 0, 1 for trouble, 2 for usage."""
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
        if not given.sql and not given.connection:
            parser.error("name the connection: --connection NAME; or print the SQL: --sql")
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    if given.sql:
        _say(as_sql().rstrip())
        return 0
    try:
        done = migrate(Connection(given.connection, Path(given.folder) / given.connection))
    except ConnectionTrouble as trouble:
        sys.stderr.write(f"bec-operator migrate: {trouble}\n")
        return 1
    for name in done:
        _say(f"connection {given.connection}: migration {name} is done")
    state = "is" if done else "was already"
    _say(f"connection {given.connection}: the schema {SCHEMA} {state} at {HEAD}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bec-operator", description="Without arguments, it runs the operator."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "migrate",
        help=f"make the tables that results go to (schema {SCHEMA}), or bring them up to date",
        description="Makes the tables that results go to, or brings them up to date. Done twice, "
        "it does nothing the second time; of two at once, one waits for the other.",
    )
    command.add_argument("--connection", metavar="NAME", help="a connection of kind sql")
    command.add_argument(
        "--folder",
        default=FOLDER,
        help="has a folder of each connection with what its Secret holds (default: %(default)s)",
    )
    command.add_argument(
        "--sql",
        action="store_true",
        help="print the SQL that makes the tables anew, and connect to nothing",
    )
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
