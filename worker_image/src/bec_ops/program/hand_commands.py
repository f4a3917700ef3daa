"""The commands for tasks by hand: next, done, failed, beat, list, id."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.returned import MAX_RESULT_BYTES
from bec_ops.link.operator_client import UnreachableError
from bec_ops.outside.by_hand import ByHand, Outcome
from bec_ops.outside.configuration import read_configuration
from bec_ops.outside.hands import Given
from bec_ops.outside.keys import seconds
from bec_ops.program.outside_choice import Site, State
from bec_ops.program.outside_commands import told_plainly

_BEATS_A_LEASE = 3
_TRY_AGAIN = 5.0  # seconds
_USUAL_LEASE = 300.0  # seconds, where nobody has said how long one is

_Task = Annotated[
    str,
    typer.Argument(help="begin of its UID, or its volume; the only one in hand", metavar="[TASK]"),
]
_Json = Annotated[bool, typer.Option("--json", help="one line of JSON")]


def take(
    job: Annotated[str, typer.Argument(help="[NAMESPACE/]NAME")],
    site: Site = "",
    timeout: Annotated[str, typer.Option(help="how long to wait for a task: 60, 10m, 0")] = "60",
    as_json: _Json = False,
    state: State = "",
) -> None:
    """Take a task of a Job: prints its UID, w_id, i_id, place of output and version, by tabs.

    Ends with 0 with a task, 3 if the Job is over, 4 if there was none in time, 1 for an error.
    The task is yours until the time that stderr tells; bec-worker beat makes it longer.
    """
    with told_plainly():
        worker = _worker(state, site)
        worker.tell_waiting()
        outcome, given = worker.next(job, _seconds(timeout))
    if given is not None:
        typer.echo(_as_json(given) if as_json else _as_line(given))
        if given.until:
            typer.echo(f"yours until {given.until}; bec-worker beat makes it longer", err=True)
    elif outcome is Outcome.OVER:
        typer.echo(f"{job} is over", err=True)
    else:
        typer.echo(f"{job} has no task now", err=True)
    raise SystemExit(outcome)


def done(
    task: _Task = "",
    marker: Annotated[
        bool, typer.Option(help="without: where the Job has outside.marker: OnDone")
    ] = True,
    result: Annotated[
        str, typer.Option(help="a file of JSON, - for stdin: what a handler would return")
    ] = "",
    state: State = "",
) -> None:
    """Say that a task is done: writes its marker, unless it stands. All else must be written."""
    with told_plainly():
        worker = _worker(state)
        worker.tell_waiting()
        given = _read_result(result) if result else None
        typer.echo(f"{worker.done(task, marker=marker, result=given).volume} is done")


def failed(
    task: _Task = "",
    final: Annotated[bool, typer.Option("--final", help="no further attempt can succeed")] = False,
    message: Annotated[str, typer.Option(help="why, for people")] = "",
    state: State = "",
) -> None:
    """Say that a task has failed; it is tried again, unless that is final."""
    with told_plainly():
        worker = _worker(state)
        worker.tell_waiting()
        typer.echo(f"{worker.failed(task, final=final, message=message).volume} has failed")


def beat(
    task: _Task = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="go on until nothing is in hand any more")
    ] = False,
    state: State = "",
) -> None:
    """Give a sign of life for a task, or for all in hand: each is yours for another lease.

    Ends with 1 if one of them is not yours any more.
    """
    lost = False
    with told_plainly():
        worker = _worker(state)
        meant = worker.hands.find(task)[1].task.task_uid if task else ""
        while True:
            leases = []
            try:
                for given, why in worker.beat(meant):
                    leases.append(given.lease_seconds or _USUAL_LEASE)
                    lost = lost or bool(why)
                    if why:
                        typer.echo(f"{given.task.volume} is lost: {why}", err=True)
            except UnreachableError as error:
                if not keep:
                    raise
                typer.echo(f"tried again: {error}", err=True)
                time.sleep(_TRY_AGAIN)
                continue
            if not keep or not leases:
                break
            time.sleep(min(leases) / _BEATS_A_LEASE)
        for hand in worker.hands.all():
            if hand.given is not None:
                typer.echo(f"{hand.given.task.volume} is yours until {hand.given.until or 'done'}")
    raise SystemExit(1 if lost else 0)


def list_held(as_json: _Json = False, state: State = "") -> None:
    """Show what the operator says this worker has: UID, Job, volume, seat, until when, by tabs."""
    with told_plainly():
        worker = _worker(state)
        worker.tell_waiting()
        for held, given in worker.held():
            until = "" if given is None else given.until
            if as_json:
                told = {"job": held.job, "seat": held.seat, "until": until}
                typer.echo(json.dumps(told | held.task.model_dump(mode="json"), ensure_ascii=False))
            else:
                row = (held.task.task_uid, held.job, str(held.task.volume), held.seat, until)
                typer.echo("\t".join(row))


def show_id(state: State = "") -> None:
    """Show the id of this worker."""
    with told_plainly():
        typer.echo(_worker(state).identity.worker_id)


def _worker(state: str, site: str = "") -> ByHand:
    return ByHand(read_configuration({"state": state, "site": site}).keys)


def _read_result(name: str) -> dict[str, Any]:
    """Read what is to stand in the marker; raises MisconfiguredError if it cannot."""
    source = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - closed here
    with source:
        text = source.read(MAX_RESULT_BYTES + 1)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if len(text) > MAX_RESULT_BYTES or not isinstance(found, dict):
        raise MisconfiguredError(
            f"the result {name}: give a JSON object of at most {MAX_RESULT_BYTES} bytes"
        )
    return found


def _seconds(text: str) -> float:
    """Read a time-out: `60` as well as `60s`."""
    try:
        return float(str(seconds(f"{text}s" if text.isdecimal() else text)))
    except ValueError as error:
        raise typer.BadParameter(f"--timeout {text!r}: {error}") from None


def _as_line(given: Given) -> str:
    task = given.task
    # No id holds a tab. The version is last, as it may be empty and shells take two tabs for one.
    return "\t".join((task.task_uid, task.w_id, task.i_id, task.output_uri, task.i_version))


def _as_json(given: Given) -> str:
    told = {"job": given.job, "until": given.until, **given.task.model_dump(mode="json")}
    return json.dumps(told, ensure_ascii=False)
