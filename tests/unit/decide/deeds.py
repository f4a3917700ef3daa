"""All that can happen to a Job and its operators, and how often it does.

A deed is a function of the stage that draws its own particulars; it is only chosen when it is
possible, so that no step of an example is wasted.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

from bec_ops.contract.s3.store import Reason
from tests.unit.decide.calling import CLASSES, KINDS, callers, request
from tests.unit.decide.guard import FOREIGN_TOTAL
from tests.unit.decide.listing import BAD
from tests.unit.decide.process import JOB, WATCHED
from tests.unit.decide.stage import Stage
from tests.unit.decide.world import GOOD_MARKER, NODES, Life

T = TypeVar("T")


class Draw(Protocol):
    """Lets hypothesis choose."""

    def __call__(self, strategy: st.SearchStrategy[T], /) -> T: ...


Doing = Callable[[Stage, Draw], None]


class Deed:
    """Something that may happen: `often` as often as another of 1, if it is `possible`."""

    def __init__(self, often: int, possible: Callable[[Stage], Any], do: Doing) -> None:
        self.often = often
        self.possible = possible
        self.do = do

    def __repr__(self) -> str:
        return self.do.__name__


DEEDS: list[Deed] = []

# What foreign hands write into the status of our objects.
JOB_PATCHES: list[dict[str, Any]] = [
    {"phase": "Pending"},
    {"phase": "Running", "done": "7/9"},
    {"counts": {"total": FOREIGN_TOTAL, "failed": 9}},
    {"conditions": [], "percent": "3%"},
    {"startTime": "2020-01-01T00:00:00Z", "eta": "1h"},
    {"phase": "Complete"},
    {"phase": "Failed", "completionTime": "2020-01-01T00:00:00Z"},
]
TASK_PATCHES: list[dict[str, Any]] = [
    {"phase": "Succeeded"},
    {"phase": "Failed"},
    {"phase": "Running", "attempt": 7},
    {"phase": None},
    {"message": "", "node": "nowhere", "progress": "1%"},
]
MARKERS = [GOOD_MARKER, GOOD_MARKER, None, GOOD_MARKER[:20]]
OWN_WORDS = '{"class": "OutOfMemory", "message": "the cgroup says so"}'
SET_UP_WRONGLY = '{"class": "Misconfigured", "message": "no model"}'
TOLD_TO_STOP = '{"class": "Interrupted", "message": "got SIGTERM"}'
ENDS: list[tuple[int, str, str]] = [
    (0, "Completed", ""),
    (0, "Completed", ""),
    (1, "Error", "so it ended"),
    (65, "Error", "so it ended"),
    (78, "Error", "so it ended"),
    (78, "Error", SET_UP_WRONGLY),
    (137, "OOMKilled", "so it ended"),
    (137, "Error", OWN_WORDS),
    (143, "Error", ""),
    (143, "Error", TOLD_TO_STOP),
]
TROUBLES: list[Reason | None] = [None, None, "Unavailable", "Forbidden"]
OUTCOMES = st.sampled_from(["answer"] * 10 + ["out", "lost"])


def deed(often: int, possible: Callable[[Stage], Any]) -> Callable[[Doing], Doing]:
    """Add a function to what can happen."""

    def add(do: Doing) -> Doing:
        DEEDS.append(Deed(often, possible, do))
        return do

    return add


def _operators(stage: Stage) -> Any:
    return stage.operators


def _one_of(draw: Draw, options: list[T]) -> T:
    """Choose without showing: what is chosen from are objects of the stage."""
    return options[draw(st.integers(0, len(options) - 1))]


# --- operators


@deed(4, lambda stage: not stage.operators)
def starts_again(stage: Stage, _: Draw) -> None:
    stage.start()


@deed(4, _operators)
def catches_up(stage: Stage, draw: Draw) -> None:
    """An operator does all that is to be done; S3 may be out of order meanwhile."""
    operator, before = _one_of(draw, stage.operators), stage.world.store.trouble
    stage.world.store.trouble = draw(st.sampled_from([before] * 5 + TROUBLES))
    for _ in range(draw(st.integers(1, 5))):
        stage.do_all(operator)
    stage.world.store.trouble = before


@deed(1, lambda stage: stage.world.plan.results)
def receivers_go_or_come(stage: Stage, _: Draw) -> None:
    stage.world.received.away = not stage.world.received.away


@deed(6, _operators)
def goes_on(stage: Stage, draw: Draw) -> None:
    """An operator does some of what is to be done, in any order, and may die right after."""
    operator = _one_of(draw, stage.operators)
    for _ in range(draw(st.integers(1, 12))):
        if not operator.under_way:
            operator.hear_all()
            stage.look(operator)
        if operator.under_way:
            stage.step(operator, _one_of(draw, operator.under_way), draw(OUTCOMES))
    if draw(st.sampled_from([False, False, True])):
        stage.kill(operator)


@deed(2, _operators)
def looks(stage: Stage, draw: Draw) -> None:
    stage.look(_one_of(draw, stage.operators))


@deed(3, lambda stage: any(operator.under_way for operator in stage.operators))
def does_half_of_a_request(stage: Stage, draw: Draw) -> None:
    operator = _one_of(draw, [operator for operator in stage.operators if operator.under_way])
    how = draw(st.sampled_from(["out", "answer", "lost"]))
    stage.step(operator, _one_of(draw, operator.under_way), how)


@deed(2, _operators)
def hears(stage: Stage, draw: Draw) -> None:
    """A watch tells something, and lags behind with the rest."""
    most = draw(st.sampled_from([1, 3, -1]))
    _one_of(draw, stage.operators).hear(draw(st.sampled_from(WATCHED)), most)


@deed(1, _operators)
def lists_again(stage: Stage, draw: Draw) -> None:
    _one_of(draw, stage.operators).list_again()


@deed(1, _operators)
def dies(stage: Stage, draw: Draw) -> None:
    """An operator ends between two requests, or between one and its answer."""
    stage.kill(_one_of(draw, stage.operators))


@deed(1, lambda stage: len(stage.operators) == 1)
def second_starts(stage: Stage, _: Draw) -> None:
    stage.start()


# --- pods and workers


def _waiting(stage: Stage) -> list[Life]:
    return stage.lives(begun=False, ended=False)


@deed(4, lambda stage: len(stage.world.down) < len(NODES) and _waiting(stage))
def pods_start(stage: Stage, draw: Draw) -> None:
    for life in _waiting(stage)[: draw(st.integers(1, 4))]:
        stage.world.start(life)


@deed(5, lambda stage: stage.reached(ended=False))
def worker_ends(stage: Stage, draw: Draw) -> None:
    life = _one_of(draw, stage.reached(ended=False))
    stage.write(life.index, draw(st.sampled_from(MARKERS)))
    stage.world.end_worker(life, *draw(st.sampled_from(ENDS)))


@deed(6, lambda stage: stage.operators and callers(stage))
def worker_calls(stage: Stage, draw: Draw) -> None:
    """A process calls; perhaps one that another has taken over from, or about another attempt."""
    operator, life = _one_of(draw, stage.operators), _one_of(draw, callers(stage))
    new = draw(st.sampled_from([False] * 7 + [True]))
    teller = stage.guard.fence.teller(life, new=new)
    others = [known for known in stage.guard.fence.tellers if known.session]
    if others and draw(st.sampled_from([False] * 7 + [True])):
        teller = _one_of(draw, others)
    elif not stage.guard.fence.is_registered(operator, teller):
        stage.register(operator, teller)
    about = None
    if draw(st.sampled_from([False] * 5 + [True])):
        about = _one_of(draw, callers(stage))
    said = request(draw(st.sampled_from(KINDS)), teller, draw(CLASSES), about)
    stage.call(operator, teller, said)
    if draw(st.booleans()):  # it is sent twice
        stage.call(operator, teller, said)


def _writers(stage: Stage) -> list[int]:
    running = stage.lives(begun=True, ended=False)
    return [life.index for life in (*running, *stage.world.zombies())]


@deed(2, _writers)
def worker_writes(stage: Stage, draw: Draw) -> None:
    """A worker that runs writes its marker, perhaps one whose pod is no more."""
    stage.write(_one_of(draw, _writers(stage)), draw(st.sampled_from(MARKERS)))


@deed(2, lambda stage: any(not life.over for life in stage.reached(ended=True)))
def rest_of_pod_ends(stage: Stage, draw: Draw) -> None:
    lives = stage.reached(ended=True)
    stage.world.end_sidecar(_one_of(draw, [life for life in lives if not life.over]))


@deed(2, lambda stage: stage.world.pods())
def pod_is_deleted(stage: Stage, draw: Draw) -> None:
    """Somebody deletes a pod: before it runs, while it does, or just after its end."""
    stage.world.delete("pods", _one_of(draw, stage.world.pods()).name)


@deed(1, lambda stage: stage.reached(ended=False))
def pod_is_evicted(stage: Stage, draw: Draw) -> None:
    stage.world.evict(_one_of(draw, stage.reached(ended=False)))


@deed(1, lambda stage: not stage.world.down)
def node_is_lost(stage: Stage, draw: Draw) -> None:
    stage.world.lose_node(draw(st.sampled_from(NODES)), gone=draw(st.booleans()))


@deed(1, lambda stage: stage.world.down)
def node_is_back(stage: Stage, draw: Draw) -> None:
    stage.world.bring_back(draw(st.sampled_from(sorted(stage.world.down))))


@deed(2, lambda stage: stage.world.pods())
def pod_is_gone(stage: Stage, draw: Draw) -> None:
    """A pod's object goes: its grace is over, or its node is lost and its worker runs on."""
    life = _one_of(draw, stage.world.pods())
    stage.world.remove_pod(life, runs_on=life.begun and draw(st.booleans()))


# --- S3, quotas, time


@deed(1, lambda _: True)
def something_is_out_of_order(stage: Stage, draw: Draw) -> None:
    world = stage.world
    world.store.trouble = draw(st.sampled_from(TROUBLES))
    world.quota_full, world.template_refused = draw(st.booleans()), draw(st.booleans())
    world.kubelet_away = draw(st.booleans())


@deed(1, lambda stage: stage.is_troubled)
def all_is_in_order(stage: Stage, _: Draw) -> None:
    stage.end_troubles()


@deed(3, lambda _: True)
def time_passes(stage: Stage, draw: Draw) -> None:
    stage.world.tick(draw(st.sampled_from([0.5, 1.0, 3.0, 6.0, 31.0, 61.0, 301.0])))


@deed(1, lambda stage: len(stage.operators) == 1)
def all_comes_to_rest(stage: Stage, _: Draw) -> None:
    stage.come_to_rest()


# --- the list of volumes


@deed(3, lambda stage: stage.world.list.made < len(stage.world.volumes))
def list_changes(stage: Stage, draw: Draw) -> None:
    """Volumes come to the list; of those in the manifest some go, and others move."""
    known, made = stage.guard.total(), stage.world.list.made
    more = draw(st.integers(0, min(2, len(stage.world.volumes) - made)))
    kept = draw(st.permutations(range(known)))[: draw(st.integers(0, known))]
    members = [*kept, *range(known, made + more)]
    if members:
        stage.world.change_list(members)


@deed(1, lambda stage: stage.world.list.kind != "items")
def list_goes_bad(stage: Stage, draw: Draw) -> None:
    stage.world.tick()
    stage.world.list.go_bad(draw(st.sampled_from(BAD)))


# --- foreign hands


@deed(1, lambda _: True)
def job_is_patched(stage: Stage, draw: Draw) -> None:
    stage.world.patch_status("jobs", JOB, draw(st.sampled_from(JOB_PATCHES)))


@deed(2, lambda stage: stage.world.all("volumetasks"))
def task_is_patched(stage: Stage, draw: Draw) -> None:
    name = _one_of(draw, stage.world.all("volumetasks"))["metadata"]["name"]
    stage.world.patch_status("volumetasks", name, draw(st.sampled_from(TASK_PATCHES)))


@deed(1, lambda stage: stage.world.all("volumetasks"))
def task_is_deleted(stage: Stage, draw: Draw) -> None:
    name = _one_of(draw, stage.world.all("volumetasks"))["metadata"]["name"]
    stage.world.delete("volumetasks", name)


@deed(1, lambda _: True)
def job_is_edited(stage: Stage, _: Draw) -> None:
    stage.world.correct_job()


@deed(1, lambda stage: not stage.world.suspended)
def job_is_suspended(stage: Stage, draw: Draw) -> None:
    stage.world.suspend(draw(st.sampled_from(["Finish", "Stop"])))


@deed(2, lambda stage: stage.world.suspended)
def job_goes_on(stage: Stage, _: Draw) -> None:
    stage.world.edit_job({"suspend": False})


@deed(1, lambda _: True)
def failed_ones_are_tried_again(stage: Stage, _: Draw) -> None:
    stage.world.retry_failed()


@deed(1, lambda _: True)
def job_is_replaced(stage: Stage, draw: Draw) -> None:
    if draw(st.sampled_from([False, False, False, True])):
        stage.world.replace_job()


@deed(3, lambda stage: stage.world.orphans())
def garbage_is_collected(stage: Stage, draw: Draw) -> None:
    for _ in range(draw(st.integers(1, 9))):
        stage.world.collect_garbage()
