"""Several Jobs at once, and a fault that nobody foresaw in one of them: all others go on.

See `fleet` for what is real in it, and `injected` for what may break.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bec_operator.decide.volumes.reasons import INTERNAL_ERROR
from tests.unit.decide.books import left_in_memory, left_in_process
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.injected import (
    ACTIONS,
    ANSWERS,
    ERRORS,
    PASSES,
    READINGS,
    S3,
    SECRET,
    Fault,
    Kind,
    injected,
)
from tests.unit.decide.plan import Plan

NAMES = ("scan", "ldv1", "ocr", "ner")
WHATS: dict[Kind, tuple[str, ...]] = {
    "action": ACTIONS,
    "pass": PASSES,
    "reading": READINGS,
    "answer": ANSWERS,
    "s3": S3,
}
TOLD_WITHIN = 10.0  # seconds until a Job says that something breaks
OTHERS_WITHIN = 300.0  # seconds in which all others end
MENDED_WITHIN = 900.0  # seconds in which the Job ends once nothing breaks any more
# Of these it cannot speak: the status itself cannot be written, or nothing is known of the Job.
MUTE = {("action", "WriteStatus"), ("reading", "jobs")}
OTHER_REASONS = {"OutputConflict", "WaitingForOlderJob", "DependencyMissing"}


@st.composite
def fleets(draw: st.DrawFn) -> list[Plan]:
    """Draw Jobs: each may depend on those before it, or write where the first one does."""
    number = draw(st.integers(2, 4))
    warm = draw(st.sampled_from([*NAMES[:number], ""]))
    plans: list[Plan] = []
    for place, name in enumerate(NAMES[:number]):
        needs = (
            draw(st.lists(st.sampled_from(NAMES[:place]), max_size=2, unique=True)) if place else []
        )
        ways = st.sampled_from(["Skip", "Fail"])
        shares = place == number - 1 and draw(st.booleans())
        most = min([plan.volumes for plan in plans if plan.name in needs and not shares], default=3)
        volumes = draw(st.integers(1, most))
        plans.append(
            Plan(
                name=name,
                volumes=volumes,
                parallelism=draw(st.integers(1, 3)),
                limit=draw(st.integers(1, 2)),
                keep_succeeded=draw(st.integers(0, 2)),
                keep_failed=draw(st.integers(0, 2)),
                sidecar=draw(st.booleans()),
                hopeless=frozenset()
                if name == warm
                else draw(st.frozensets(st.integers(0, 2), max_size=1)),
                job_id=plans[0].name if shares else "",
                depends_on=() if shares else tuple((need, draw(ways)) for need in needs),
                pool=2 if name == warm else 0,
            )
        )
    return plans


@st.composite
def faults(draw: st.DrawFn, names: list[str]) -> Fault:
    """Draw what breaks for one Job."""
    kind: Kind = draw(st.sampled_from([*WHATS]))
    return Fault(
        job=draw(st.sampled_from(names)),
        kind=kind,
        what=draw(st.sampled_from(WHATS[kind])),
        error=draw(st.sampled_from(ERRORS)),
        after=draw(st.booleans()),
        times=draw(st.sampled_from([None, None, 1, 3])),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    plans=fleets(),
    data=st.data(),
    loses=st.sampled_from([0, 0, 7]),
    events=st.lists(st.sampled_from(["wait", "restart", "relist", "wait"]), max_size=3),
    max_pods=st.sampled_from([500, 2]),
)
def test_a_fault_concerns_its_own_job_alone(
    plans: list[Plan], data: st.DataObject, loses: int, events: list[str], max_pods: int
) -> None:
    fault = data.draw(faults([plan.name for plan in plans]))
    with injected(fault), Fleet(plans, [fault], loses, max_pods=max_pods) as fleet:
        for event in events:
            fleet.run(2.0)
            {"wait": lambda: None, "restart": fleet.restart, "relist": fleet.api.expire}[event]()
        _go_on(fleet, fault)
        fault.mended = True
        fleet.run_until(lambda: fleet.has_ended(*fleet.guards), MENDED_WITHIN)
        _check_end(fleet)


def _go_on(fleet: Fleet, fault: Fault) -> None:
    """While it breaks, all Jobs end that have nothing to do with it; the guilty one says so."""
    others = [name for name in fleet.guards if not _waits_for(fleet, name, fault.job)]
    end = fleet.clock.now() + OTHERS_WITHIN
    while not fleet.has_ended(*others) or not _has_told(fleet, fault):
        assert fleet.clock.now() < end, f"they do not go on: {fleet.says()}"
        fleet.run(1.0)
        _check_words(fleet, fault)


def _waits_for(fleet: Fleet, name: str, guilty: str) -> bool:
    """Whether a Job may have to wait for another, or is that one."""
    plan, first = fleet.worlds[name].plan, fleet.worlds[guilty].plan
    shares = (plan.job_id or name) == (first.job_id or guilty)
    return shares or any(_waits_for(fleet, need, guilty) for need, _ in plan.depends_on)


def _has_told(fleet: Fleet, fault: Fault) -> bool:
    """Whether it was long enough ago that it broke, if it does."""
    is_over = fleet.status(fault.job).terminal
    return is_over or not fault.fired or fleet.clock.now() - fault.fired[0] > TOLD_WITHIN


def _check_words(fleet: Fleet, fault: Fault) -> None:
    reason, message = fleet.stall(fault.job)
    assert SECRET not in message
    if reason == INTERNAL_ERROR:
        assert fault.error.__name__ in message, message
    if not fault.lasts or not fault.fired or fleet.status(fault.job).terminal:
        return
    if (fault.kind, fault.what) in MUTE or reason in OTHER_REASONS:
        return
    if fleet.clock.now() - fault.fired[0] > TOLD_WITHIN:
        assert reason == INTERNAL_ERROR, f"{fault}: {fleet.says()}"


def _check_end(fleet: Fleet) -> None:
    """All counts are exact, and when all Jobs are gone, nothing is remembered of them."""
    fleet.run(60.0)
    for name, guard in fleet.guards.items():
        guard.check_end()
        counts, plan = fleet.status(name).counts, fleet.worlds[name].plan
        assert counts.total == plan.volumes
        assert fleet.stall(name) == ("", ""), name
        memory = fleet.operator.reconciler.memory(("bec", name))
        left = left_in_memory(memory) if memory is not None else {}
        left.pop("books.tasks", None)  # its history
        assert not left, f"{name}: {left}"
    for name in [*fleet.guards]:
        fleet.delete(name)
    fleet.run(60.0)
    left = left_in_process(fleet.operator.cache, fleet.operator.reconciler)
    assert not left, left
