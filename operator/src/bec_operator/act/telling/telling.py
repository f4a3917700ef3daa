"""Tells people what the status of a Job does not: how many volumes failed, that no task is left."""

from bec_operator.act.ground.context import Context
from bec_operator.act.kube.events import post_event
from bec_operator.decide.jobs.actions import TellFailures, TellIdle
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.notices import idle
from bec_operator.decide.volumes.ledger import Outcome


async def tell_failures(ctx: Context, memory: Memory, action: TellFailures) -> None:
    """Write the Event that counts the failed volumes by their classes."""
    if memory.ledger is None:
        return
    changes, now = memory.ledger.changes, ctx.clock.now()
    await post_event(ctx.api, ctx.clock, memory.job, "VolumesFailed", action.message, "Warning")
    memory.telling.note_failures(changes, now)


async def tell_idle(ctx: Context, memory: Memory, action: TellIdle) -> None:
    """Write the Event that no task is left, and notify."""
    ledger = memory.ledger
    if ledger is None:
        return
    ended = len(ledger) - ledger.count(Outcome.WAITING)
    notice = idle(memory.job, action.message, ended, iso(ctx.clock.now()))
    memory.outbox.note_notice(notice)
    if ctx.notifier is not None:
        ctx.notifier.notify(notice)
    await post_event(ctx.api, ctx.clock, memory.job, notice.reason, notice.message)
    memory.telling.note_idle_told(ended)
