"""What workers tell the operator: each in its turn, late, twice, or in the name of another."""

from typing import get_args

from hypothesis import strategies as st

from bec_ops.contract.protocol import (
    Done,
    Failed,
    Heartbeat,
    Next,
    Progress,
    Register,
    ReportedClass,
    Request,
)
from tests.unit.decide.fence import Teller
from tests.unit.decide.stage import Stage
from tests.unit.decide.world import Life

KINDS = ("progress", "progress", "alive", "next", "done", "failed", "register")
PAGES = 10
CLASSES = st.sampled_from(get_args(ReportedClass))


def callers(stage: Stage) -> list[Life]:
    """Return the pods that may call: those that run more often than those that are over."""
    begun = [life for life in stage.world.lives.values() if life.begun]
    return begun + 3 * [life for life in begun if life.worker_end is None]


def heartbeat(teller: Teller, about: Life | None = None, *, moved: bool = True) -> Heartbeat:
    """Return a sign of life of a process: honest, unless it is `about` another pod."""
    teller.done = min(teller.done + moved, PAGES)
    return Heartbeat(**_about(teller, about), progress=Progress(done=teller.done, total=PAGES))


def failed(teller: Teller, failure: ReportedClass, about: Life | None = None) -> Failed:
    """Return the report that an attempt has failed."""
    return Failed(**_about(teller, about), failure=failure, message="so it says")


def done(teller: Teller, about: Life | None = None) -> Done:
    """Return the report that the marker stands."""
    return Done(**_about(teller, about))


def _about(teller: Teller, about: Life | None) -> dict[str, object]:
    life = about or teller.life
    return {"session": teller.session, "task_uid": life.task_uid, "attempt": life.attempt}


def request(kind: str, teller: Teller, failure: ReportedClass, about: Life | None) -> Request:
    """Return a request of a process."""
    match kind:
        case "register":
            return Register(process=teller.process)
        case "next":
            return Next(session=teller.session)
        case "done":
            return done(teller, about)
        case "failed":
            return failed(teller, failure, about)
        case _:
            return heartbeat(teller, about, moved=kind == "progress")
