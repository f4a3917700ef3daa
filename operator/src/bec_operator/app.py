"""The process: takes in what there is, then watches and reconciles until it is told to stop."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import uvloop
from prometheus_client import start_http_server
from pydantic import ValidationError

from bec_operator.act.ground.api_server import ApiError, ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.connections import Connections
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.notifier import Notifier, notify_again
from bec_operator.act.ground.storage import Storage
from bec_operator.act.kube.events import post_event
from bec_operator.act.reconciler import Reconciler
from bec_operator.act.telling.webhook import Webhook
from bec_operator.decide.sight.notices import Notice
from bec_operator.gateway.doors import Doors
from bec_operator.gateway.gateway import Gateway
from bec_operator.logs import set_up_logs
from bec_operator.malloc import keep_little
from bec_operator.metrics import WATCH_AGE
from bec_operator.observe.engine import on_loop_error, run_kopf
from bec_operator.observe.kinds import ENROLLED, KINDS
from bec_operator.observe.lag import measure_lag
from bec_operator.observe.watch import Watch
from bec_operator.settings import Settings
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.server import WorkerApi
from bec_ops.contract.s3.store import Store

log = logging.getLogger(__name__)

TURN = 0.001  # seconds after which a thread that parses a list lets the event loop go on


async def serve(settings: Settings) -> None:
    """Run the operator until a signal, or until one of its parts ends."""
    api = await ApiServer.connect()
    reconciler, clock = Reconciler(), Clock()
    store = Store(
        settings.s3_endpoint,
        settings.s3_region,
        connections=settings.s3_requests,
        settings=settings.store,
    )
    ctx = Context(
        api=api,
        storage=Storage(store, settings.s3_requests),
        cache=Cache(reconciler.look_at),
        clock=clock,
        settings=settings,
        connections=Connections(settings.connections, settings.connections_folder),
        notifier=_notifier(settings, api, clock),
    )
    calls = Calls(ctx, reconciler.memory)
    worker_api = WorkerApi(ctx, calls)
    doors = Doors(ctx, Gateway(ctx, calls, reconciler.memory, settings.own_namespace))
    namespaces: list[str | None] = [*settings.namespaces] or [None]
    watches = [Watch(ctx, kind, namespace) for kind in KINDS for namespace in namespaces]
    if doors.are_any:
        watches.append(Watch(ctx, ENROLLED, settings.own_namespace))
    try:
        await _take_in(ctx, watches)
        for watch in watches:
            age = WATCH_AGE.labels(watch.plural, watch.scope)
            age.set_function(partial(getattr, watch, "age"))
        await worker_api.start()
        await doors.open()
        parts = [
            *(watch.run() for watch in watches),
            reconciler.run(ctx),
            measure_lag(),
            *doors.parts(),
        ]
        stops: list[Callable[[], Awaitable[None]]] = [
            worker_api.stop,
            doors.close,
            reconciler.stop,
        ]
        if ctx.notifier is not None:
            parts.append(ctx.notifier.run())
            stops.append(ctx.notifier.stop)
        await _run(ctx, watches, parts, stops)
    finally:
        await worker_api.stop()
        await doors.close()
        await reconciler.stop()
        ctx.storage.close()
        await api.close()


def _notifier(settings: Settings, api: ApiServer, clock: Clock) -> Notifier | None:
    """Return the channel by which people outside the cluster are notified, if there is one."""
    if settings.webhook_url is None or settings.webhook_key is None:
        return None

    async def tell_loss(notice: Notice, why: str) -> None:
        await post_event(api, clock, notice.job, "NotificationLost", why, "Warning")

    return Webhook(str(settings.webhook_url), settings.webhook_key, clock, tell_loss)


async def _take_in(ctx: Context, watches: list[Watch]) -> None:
    """Know everything before the first decision."""
    for watch in watches:
        await watch.list()
    jobs = list(ctx.cache.jobs.all())
    if ctx.notifier is not None:
        for job in jobs:
            notify_again(ctx.notifier, job, ctx.clock.now())
    log.info("ready: %d jobs, %d tasks", len(jobs), len(list(ctx.cache.tasks.all())))


async def _run(
    ctx: Context,
    watches: list[Watch],
    parts: list[Coroutine[Any, Any, None]],
    stops: list[Callable[[], Awaitable[None]]],
) -> None:
    """Run kopf and the parts side by side; when one ends, all do, and its error is ours.

    When the process is told to stop, the `stops` are done first, and the parts end before kopf
    does: it closes the session that they use, and waits for what it takes for its own tasks.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    ending = asyncio.Event()

    async def end() -> None:
        ending.set()
        for stop in stops:
            await stop()
        await _cancel(tasks)

    kopf = asyncio.ensure_future(run_kopf(ctx, watches, end))
    ended, _ = await asyncio.wait([kopf, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if ending.is_set():
        ended, _ = await asyncio.wait([kopf])
    await _cancel([kopf, *tasks])
    for task in ended:
        task.result()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Run the operator, or another of its commands, such as `bec-operator migrate …`."""
    if sys.argv[1:]:
        from bec_operator.commands import run  # noqa: PLC0415 - the operator itself needs it never

        sys.exit(run(sys.argv[1:]))
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        sys.exit(f"bec-operator: settings (BEC_OPERATOR_…): {'; '.join(wrong)}")
    set_up_logs(settings)
    keep_little()
    sys.setswitchinterval(TURN)
    start_http_server(settings.metrics_port)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(on_loop_error)
            runner.run(serve(settings))
    except ApiError as error:
        log.error("cannot run: %s", error)  # noqa: TRY400 - the sentence says it all
        if error.code == 404:
            log.error("are the CRDs installed? kubectl apply -f crds/")  # noqa: TRY400
        sys.exit(1)
