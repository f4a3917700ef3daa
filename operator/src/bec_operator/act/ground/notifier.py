"""How people outside the cluster are notified: what a channel is, and what goes into it."""

from typing import Protocol

from bec_operator.act.ground.clock import Clock
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import epoch
from bec_operator.decide.sight.notices import Notice, NoticeKind, news, notices
from bec_operator.decide.sight.seen import JobSeen

TELL_AGAIN = 600.0  # seconds for which a restarted operator tells again what it may not have told


class Notifier(Protocol):
    """A channel. It holds up nobody: a notice is taken at once, and delivered in its own time."""

    def notify(self, notice: Notice) -> None:
        """Take a notice for delivery."""

    async def run(self) -> None:
        """Deliver until cancelled."""

    async def stop(self) -> None:
        """Deliver what is left, within a few seconds."""


def notify_news(
    notifier: Notifier, memory: Memory, before: JobSeen, after: JobSeen, clock: Clock
) -> None:
    """Notify of what a Job says now and did not say before; of a stall that flaps only once."""
    for notice in news(before, after):
        if notice.kind is NoticeKind.STALLED:
            if not memory.telling.stall_due(notice.reason, clock.now()):
                continue
            memory.telling.note_stall(notice.reason, clock.now())
        notifier.notify(notice)


def notify_again(notifier: Notifier, job: JobSeen, now: float) -> None:
    """Notify of what a Job has said of late: the process that wrote it may not have told it."""
    for notice in notices(job):
        if now - epoch(notice.moment) < TELL_AGAIN:
            notifier.notify(notice)
