"""The command `bec-operator migrate`: makes the tables that results go to, or brings them up."""

import argparse
import sys
from pathlib import Path

from bec_operator.act.connections.results.own.head import HEAD, SCHEMA
from bec_operator.act.connections.results.own.migrating import as_sql, migrate
from bec_operator.act.ground.connections import Connection, ConnectionTrouble

FOLDER = "/etc/bec/connections"


def migrate_tables(given: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
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


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those that there are."""
    command = commands.add_parser(
        "migrate",
        help=f"make the tables that results go to (schema {SCHEMA}), or bring them up to date",
        description="Makes the tables that results go to, or brings them up to date. Done twice, "
        "it does nothing the second time; of two at once, one waits for the other.",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--connection", metavar="NAME", help="a connection of kind sql")
    what.add_argument(
        "--sql",
        action="store_true",
        help="print the SQL that makes the tables anew, and connect to nothing",
    )
    command.add_argument(
        "--folder",
        default=FOLDER,
        help="has a folder of each connection with what its Secret holds (default: %(default)s)",
    )
    command.set_defaults(do=migrate_tables)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
