"""The life of `bec-worker serve`: it listens, registers, and leaves nothing running at its end."""

import asyncio
import logging
import os
import signal
import ssl
import time
from collections.abc import Coroutine
from pathlib import Path

import grpc

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.serve.calls import Calls
from bec_ops.serve.configuration import Configuration, GrpcServer, read_configuration
from bec_ops.serve.jobs import Jobs
from bec_ops.serve.registration import Registration

_LOOK = 10.0  # seconds between two looks at all jobs: what is lost is found unasked
_ENDING = 0.05  # seconds between two looks whether all jobs have ended
_SPARE = 10.0  # seconds beyond their grace, and for streams to tell the rest
_CALLS = 64  # at once, beside streams
_MOST = 256 * 1024  # bytes of what we are told: command and argument
_KEEP_ALIVE = [
    ("grpc.keepalive_time_ms", 60_000),  # who reads a stream and is gone is forgotten
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # peers may look after us, too
]

_logger = logging.getLogger(__name__)


def serve(file: Path) -> None:
    """Serve until a SIGTERM or SIGINT; raises MisconfiguredError with what is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    configuration = read_configuration(file)
    credentials = _credentials(configuration.grpc_server)
    asyncio.run(_serve(configuration, credentials))


async def _serve(configuration: Configuration, credentials: grpc.ServerCredentials | None) -> None:
    listening, limits = configuration.grpc_server, configuration.limits
    _warn(configuration)
    jobs = Jobs(limits)
    calls = Calls(jobs, limits)
    options = [
        ("grpc.so_reuseport", 0),  # two workers at one address would share its calls
        ("grpc.max_receive_message_length", _MOST),
        *_KEEP_ALIVE,
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=limits.streams + _CALLS)
    server.add_generic_rpc_handlers((calls.handler(),))
    _listen(server, listening, credentials)
    scheduler = configuration.scheduler
    known = Registration(scheduler, listening.told_to_scheduler) if scheduler.addr else None
    stop = _stop_on_signals()
    await server.start()
    _logger.info("listens at %s", listening.listens_at)
    try:
        await _until(stop, _look(jobs), *([known.keep()] if known else []))
    finally:
        calls.ending = True
        if known:
            await known.leave()
        await _end_jobs(jobs, limits.grace_seconds + _SPARE)
        await server.stop(_SPARE)
        jobs.close()


async def _until(stop: asyncio.Event, *others: Coroutine[None, None, None]) -> None:
    """Do other things until the stop; none of them ends before, but by a fault, which is raised."""
    tasks = [asyncio.create_task(each) for each in others]
    stopped = asyncio.create_task(stop.wait())
    done, pending = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _listen(
    server: grpc.aio.Server, listening: GrpcServer, credentials: grpc.ServerCredentials | None
) -> None:
    address = listening.listens_at
    try:
        if credentials:
            server.add_secure_port(address, credentials)
        else:
            server.add_insecure_port(address)
    except RuntimeError:
        raise MisconfiguredError(
            f"[grpc_server] addr {address} cannot be listened at: another program may be there, "
            "or it is no address of this machine; write another"
        ) from None


def _credentials(listening: GrpcServer) -> grpc.ServerCredentials | None:
    if not listening.use_tls:
        return None
    key, certificate = _read("key_file", listening.key_file), _read("crt_file", listening.crt_file)
    _check_pair(listening)
    authority = None
    if listening.client_ca_file:
        authority = _read("client_ca_file", listening.client_ca_file)
    return grpc.ssl_server_credentials(
        [(key, certificate)], authority, require_client_auth=authority is not None
    )


def _read(name: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise MisconfiguredError(f"[grpc_server] {name} {file}: {error.strerror}") from None


def _check_pair(listening: GrpcServer) -> None:
    """See that certificate and key are some, and belong together: gRPC would say it to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(listening.crt_file, listening.key_file, password=lambda: "")
    except (ssl.SSLError, ValueError):
        raise MisconfiguredError(
            f"[grpc_server] crt_file {listening.crt_file} and key_file {listening.key_file} are no "
            "certificate and its key: write files in PEM that belong together, the key without a "
            "passphrase"
        ) from None


def _warn(configuration: Configuration) -> None:
    """Say what is allowed and may not be meant."""
    listening = configuration.grpc_server
    if not configuration.limits.commands:
        _logger.warning(
            "[limits] commands lists nothing: no job can start; list what may be run, "
            'as in commands = ["/opt/tools/*.sh"]'
        )
    elif not (listening.is_local or listening.client_ca_file):
        _logger.warning(
            "whoever reaches %s may run what [limits] commands lists: with client_ca_file only "
            "those may who have a certificate of yours",
            listening.addr,
        )


def _stop_on_signals() -> asyncio.Event:
    """Return what is set at the first signal; a second one ends the process at once."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(ExitCode.INTERRUPTED)  # keepers end on their own what they were told to end
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


async def _look(jobs: Jobs) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        try:
            await asyncio.to_thread(jobs.look)
        except OSError as error:  # a full disk
            _logger.warning("the jobs' folder: %s", error.strerror)


async def _end_jobs(jobs: Jobs, seconds: float) -> None:
    """Stop all jobs, and wait for their ends; those that just start are stopped as well."""
    deadline = time.monotonic() + seconds
    while left := await asyncio.to_thread(jobs.stop_all):
        if time.monotonic() > deadline:
            _logger.warning("still run: %s", ", ".join(left))
            return
        await asyncio.sleep(_ENDING)
