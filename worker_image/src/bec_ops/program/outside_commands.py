"""The commands of a worker from elsewhere about itself: register, config, status."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bec_ops.contract.errors import WorkerError
from bec_ops.contract.s3.store import StoreError
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.outside.by_hand import ByHand
from bec_ops.outside.configuration import read_configuration
from bec_ops.outside.identity import StateFolder
from bec_ops.outside.working import register as register_machine
from bec_ops.program.outside_choice import State

_STDIN = "-"
_STDIN_AT_MOST = 4096  # characters of a token


@contextmanager
def told_plainly() -> Iterator[None]:
    """End with 1 and a sentence where something goes wrong: nothing else ends with 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.ERROR)
    try:
        yield
    except (WorkerError, UnreachableError, RefusedError, StoreError, OSError) as error:
        typer.echo(f"bec-worker: {error}", err=True)
        raise SystemExit(1) from None


def register(
    url: Annotated[str, typer.Option(help="the operator's address, https://…")] = "",
    token: Annotated[
        str, typer.Option(help="an administrator's token; others may see arguments")
    ] = "",
    token_file: Annotated[str, typer.Option(help="a file that holds it; - for stdin")] = "",
    name: Annotated[str, typer.Option(help="how people call this machine")] = "",
    ca: Annotated[str, typer.Option(help="certificates that the operator's is checked by")] = "",
    state: State = "",
    again: Annotated[bool, typer.Option("--again", help="get a new id and secret")] = False,
) -> None:
    """Make this machine a worker: bec-worker register --url https://… --token-file FILE."""
    with told_plainly():
        arguments = {"url": url, "name": name, "ca": ca, "state": state}
        if token_file == _STDIN:
            arguments |= {"token": sys.stdin.read(_STDIN_AT_MOST).strip()}
        else:
            arguments |= {"token": token, "token_file": token_file}
        keys = read_configuration(arguments).keys
        found = register_machine(StateFolder(keys.state), keys, again=again)
        typer.echo(f"registered as {found.worker_id} at {found.url}; it is kept in {keys.state}")


def config(state: State = "") -> None:
    """Show each key of the configuration, its value, and who says so."""
    with told_plainly():
        rows = read_configuration({"state": state}).rows()
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for key, value, source in rows:
            typer.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}")


def status(state: State = "") -> None:
    """Say who this worker is, whether its operator answers, and what it has and has to tell.

    Ends with 1 if it is not registered, or the operator does not answer.
    """
    with told_plainly():
        worker = ByHand(read_configuration({"state": state}).keys)
        who = worker.identity
        typer.echo(f"worker    {who.worker_id} {who.name}".rstrip())
        typer.echo(f"operator  {who.url}")
        waiting = [f"{count} {kind}" for kind, count in worker.records.count().items()]
        typer.echo(f"to tell   {', '.join(waiting) or 'nothing'}")
        held = worker.held()
        typer.echo("answers   yes")
        for each, _ in held:
            typer.echo(f"has       {each.job} {each.task.volume} in {each.seat}")
        if not held:
            typer.echo("has       nothing")
