"""The `bec-worker` command: runs handlers or any program on the volume of its pod, or by hand."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bec_ops import worker
from bec_ops.contract.errors import Failure, MisconfiguredError
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.task import Assignment
from bec_ops.contract.volume import Volume
from bec_ops.outside.keys import Keys
from bec_ops.outside.working import Ready, run_outside
from bec_ops.program import hand_commands, outside_commands
from bec_ops.program.by_hand import JOB_ID, Wish, run_by_hand
from bec_ops.program.execute import GRACE, Program
from bec_ops.program.outside_choice import HandlerNames, Jobs, Once, Site, State, UntilIdle, Wanted
from bec_ops.runtime.attempt import tell
from bec_ops.runtime.loading import load
from bec_ops.runtime.running import DoVolume, Prepare, end_process, run_tasks

_USAGE = 2  # typer's exit code for it
_CONFIGURATION = Path("worker/config.toml")  # where existing workers have it

app = typer.Typer(
    help="Runs the work on a volume, and writes success.json once all of it is written.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Handlers = Annotated[str, typer.Argument(help="a file with handlers, or a module", metavar="FILE")]
_Grace = Annotated[
    float, typer.Option(help="seconds from SIGTERM to SIGKILL for the program's processes", min=0)
]


@app.command()
def run(
    handlers: _Handlers,
    once: Once = False,
    until_idle: UntilIdle = "",
    job: Jobs = None,
    handler: HandlerNames = None,
    site: Site = "",
    state: State = "",
) -> None:
    """Do the pod's task with the handlers of a file or module: bec-worker run worker.py.

    Where there is no pod, do tasks of any Job that gives them to workers from elsewhere; first,
    bec-worker register.
    """

    def ready() -> tuple[Prepare, tuple[str, ...]]:
        load(handlers)
        return worker.prepare, worker.names()

    named = {"jobs": job, "handlers": handler, "site": site, "state": state}
    _run(Wanted(once, until_idle, named), _prepare_handlers(handlers), ready, GRACE)


@app.command("exec")
def execute(
    context: typer.Context,
    grace: _Grace = GRACE,
    once: Once = False,
    until_idle: UntilIdle = "",
    job: Jobs = None,
    handler: HandlerNames = None,
    site: Site = "",
    state: State = "",
) -> None:
    """Do the pod's task with any program: bec-worker exec -- ./script.sh --fast.

    The task is in its environment (BEC_W_ID, BEC_I_ID, BEC_PARAMETERS, …). What it writes to the
    folder BEC_OUTPUT_DIR is uploaded when it ends with 0. Progress is read from lines such as
    `bec-progress 12/480 pages` in its output, or in the file BEC_PROGRESS_FILE.
    """
    program = _program(context, grace)
    if program is None:
        raise typer.BadParameter("no program: write bec-worker exec -- PROGRAM ARGUMENTS")
    prepare = _prepare_program(program)
    named = {"jobs": job, "handlers": handler, "site": site, "state": state}
    _run(Wanted(once, until_idle, named), prepare, lambda: (prepare, ()), grace)


@app.command("run-volume")
def run_volume(
    context: typer.Context,
    w_id: Annotated[str, typer.Argument()],
    i_id: Annotated[str, typer.Argument()],
    output: Annotated[str, typer.Option(help="s3://bucket/prefix/, or a folder")],
    handlers: Annotated[
        str, typer.Argument(help="a file with handlers, or a module", metavar="[FILE]")
    ] = "",
    version: Annotated[str, typer.Option(help="the volume's version")] = "",
    handler: Annotated[str, typer.Option(help="which handler, if there is more than one")] = "",
    parameters: Annotated[str, typer.Option(help="the job's parameters, in JSON")] = "{}",
    job_id: Annotated[str, typer.Option(help="the job's id")] = JOB_ID,
    dependency: Annotated[
        list[str] | None,
        typer.Option(
            help="where another job has written for the volume, for handlers: as the output",
            metavar="JOB_ID=PLACE",
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="what must be there in the end, as in output.expect", metavar="PATTERN"),
    ] = None,
    grace: _Grace = GRACE,
) -> None:
    """Try handlers, or a program, on one volume, with no cluster.

    bec-worker run-volume W1 I1 --output ./out worker.py

    bec-worker run-volume W1 I1 --output s3://bucket/try/ -- ./script.sh

    Ends with 0 if the marker is written, 1 if not, 130 if it was stopped.
    """
    program = _program(context, grace)
    if bool(handlers) == bool(program):
        raise typer.BadParameter("give either a FILE with handlers, or -- and a program")
    if program and dependency:
        raise typer.BadParameter("--dependency is for handlers; a program reads BEC_DEPENDENCIES")
    wish = Wish(
        Volume(w_id, i_id, version),
        output,
        handler,
        parameters,
        job_id,
        tuple(dependency or ()),
        tuple(expect or ()),
    )
    prepare = _prepare_handlers(handlers) if program is None else _prepare_program(program)
    sys.exit(run_by_hand(wish, prepare, Console(stderr=True)))


@app.command()
def serve(
    config: Annotated[
        Path, typer.Option(help="the configuration, in TOML", metavar="FILE")
    ] = _CONFIGURATION,
) -> None:
    """Run on this machine what a scheduler starts over gRPC, until a SIGTERM.

    It needs more than the other commands: pip install 'bec-ops[grpc]'.
    """
    try:
        import_module("bec_ops.serve.serving").serve(config)
    except ModuleNotFoundError as error:
        if error.name not in {"grpc", "google", "google.protobuf"}:
            raise
        typer.echo("bec-worker serve needs gRPC: pip install 'bec-ops[grpc]'", err=True)
        sys.exit(ExitCode.MISCONFIGURED)
    except MisconfiguredError as error:
        typer.echo(f"bec-worker serve: {error}", err=True)
        sys.exit(ExitCode.MISCONFIGURED)


for _name, _command in (
    ("register", outside_commands.register),
    ("config", outside_commands.config),
    ("status", outside_commands.status),
    ("next", hand_commands.take),
    ("done", hand_commands.done),
    ("failed", hand_commands.failed),
    ("beat", hand_commands.beat),
    ("list", hand_commands.list_held),
    ("id", hand_commands.show_id),
):
    app.command(_name)(_command)


def main() -> None:
    """Run the command; all that follows ``--`` is the command line of another program.

    A command line that is wrong is so for every volume, and ends with 64.
    """
    arguments = sys.argv[1:]
    place = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        app(args=arguments[:place], obj=tuple(arguments[place + 1 :]))
    except SystemExit as end:
        if end.code == _USAGE:  # which nothing else here ends with
            raise SystemExit(ExitCode.USAGE) from None
        raise


def _run(wanted: Wanted, of_pod: Prepare, ready: Ready, grace: float) -> None:
    """Do the task of a pod, or those of a worker from elsewhere, and end the process."""
    try:
        keys: Keys | None = wanted.outside()
    except MisconfiguredError as error:
        end_process(tell(Failure.of(error)).exit_code)
    if keys is None:
        end_process(run_tasks(of_pod))
    idle = wanted.idle_seconds
    end_process(run_outside(keys, ready, grace=grace, once=wanted.once, until_idle=idle))


def _prepare_handlers(where: str) -> Prepare:
    def prepare(task: Assignment) -> DoVolume:
        load(where)
        return worker.prepare(task)

    return prepare


def _prepare_program(program: Program) -> Prepare:
    return lambda _: program.work


def _program(context: typer.Context, grace: float) -> Program | None:
    command: tuple[str, ...] = context.obj
    return Program(command, grace) if command else None
