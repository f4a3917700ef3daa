"""Random graphs of Jobs, in any order of events: nothing starts early, and all end as they must.

That nothing starts before its gate is checked by the farm itself, at each start.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.farm import Farm, spec

NAMES = ["scan", "ldv1", "ocr", "ner"]
VOLUMES = [Volume("W", f"I{n}", version) for n in range(2) for version in ("v1", "v2")]
Plan = dict[str, tuple[list[Volume], list[dict[str, Any]]]]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw Jobs, each with its volumes and those before it that it depends on."""
    made: Plan = {}
    for place, name in enumerate(NAMES):
        volumes = draw(st.lists(st.sampled_from(VOLUMES), min_size=1, max_size=4, unique=True))
        needs = (
            draw(st.lists(st.sampled_from(NAMES[:place]), max_size=3, unique=True)) if place else []
        )
        made[name] = (volumes, [draw(_forms(need)) for need in needs])
    return made


def _forms(need: str) -> st.SearchStrategy[dict[str, Any]]:
    artefacts = st.just({"jobId": need, "output": {"bucket": "b"}})
    ways = st.sampled_from(["Wait", "Wait", "Skip", "Fail"])
    return ways.map(lambda way: {"job": need, "onFailure": way}) | artefacts


@settings(max_examples=40, deadline=None)
@given(
    plan=plans(),
    done_before=st.frozensets(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(VOLUMES)), max_size=4
    ),
    torn=st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(VOLUMES)), max_size=6),
    data=st.data(),
)
def test_random_graphs(
    plan: Plan,
    done_before: frozenset[tuple[str, Volume]],
    torn: frozenset[tuple[str, Volume]],
    data: st.DataObject,
) -> None:
    farm = Farm(markers=set(done_before))
    for event in data.draw(st.lists(st.sampled_from([*NAMES * 4, *range(6)]), max_size=60)):
        _happen(farm, plan, torn, event)
    farm.s3_away = False
    for name in NAMES:
        _apply(farm, plan, name)
    for _ in range(12):
        farm.settle_down(61.0)
        for name in NAMES:
            for index in list(farm.tasks[name]):
                _finish(farm, torn, name, index)
    for name in NAMES:
        _check_end(farm, plan, torn, name)


def _apply(farm: Farm, plan: Plan, name: str) -> None:
    if name not in farm.jobs:
        volumes, needs = plan[name]
        farm.apply(name, volumes, spec(*needs, parallelism=2))


def _finish(farm: Farm, torn: frozenset[tuple[str, Volume]], name: str, index: int) -> None:
    if farm.memories.get(name) is not None and farm.memories[name].ledger is not None:
        farm.finish(name, index, well=(name, farm.volumes(name)[index]) not in torn)


def _happen(farm: Farm, plan: Plan, torn: frozenset[tuple[str, Volume]], event: str | int) -> None:
    """Let something happen: a Job is made or looked at, a task ends, S3 or the operator is away."""
    if isinstance(event, str):
        if event in farm.jobs:
            farm.look(event)
        _apply(farm, plan, event)
    elif event < 3:
        running = [(name, index) for name, tasks in farm.tasks.items() for index in tasks]
        for name, index in running[: event + 1]:
            _finish(farm, torn, name, index)
    elif event == 3:
        farm.s3_away = not farm.s3_away
    elif event == 4:
        farm.restart()
    else:
        farm.clock.time += 61.0


def _check_end(farm: Farm, plan: Plan, torn: frozenset[tuple[str, Volume]], name: str) -> None:
    possible = [_possible(plan, farm, torn, name, volume) for volume in plan[name][0]]
    outcomes = farm.outcomes(name)
    for volume, outcome, ends in zip(plan[name][0], outcomes, possible, strict=True):
        assert outcome in ends, f"{name}: {volume} is {outcome.name}, not one of {ends}"
    job = farm.jobs[name]
    assert job.status.counts.add_up
    assert job.status.counts.waiting == outcomes.count(Outcome.WAITING)
    assert job.status.terminal == (Outcome.WAITING not in outcomes)
    told = {line["index"] for line in farm.reports(name)}
    given_up = {Outcome.FAILED, Outcome.SKIPPED}
    assert told == {index for index, outcome in enumerate(outcomes) if outcome in given_up}


def _possible(
    plan: Plan, farm: Farm, torn: frozenset[tuple[str, Volume]], name: str, volume: Volume
) -> set[Outcome]:
    """Return how a volume may end; more than one where it is a matter of who failed first."""
    if (name, volume) in farm.markers:
        return {Outcome.SUCCEEDED}
    ends: set[Outcome] = set()
    shut = False
    for need in plan[name][1]:
        other = need.get("job") or need["jobId"]
        if (other, volume) in farm.markers:
            continue
        shut = True
        listed = "job" in need and volume in plan[other][0]
        lost = listed and Outcome.WAITING not in _possible(plan, farm, torn, other, volume)
        if lost and need["onFailure"] != "Wait":
            ends.add({"Skip": Outcome.SKIPPED, "Fail": Outcome.FAILED}[need["onFailure"]])
    if shut:
        return ends or {Outcome.WAITING}
    return {Outcome.FAILED} if (name, volume) in torn else {Outcome.SUCCEEDED}
