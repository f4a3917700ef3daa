"""What short plays on the stage are made of."""

from tests.unit.decide.fence import Teller
from tests.unit.decide.process import Process
from tests.unit.decide.stage import Stage
from tests.unit.decide.stepping import Doing
from tests.unit.decide.world import Life


def the_operator(stage: Stage) -> Process:
    """Return the only operator."""
    (only,) = stage.operators
    return only


def latest_pod(stage: Stage, index: int = 0) -> Life:
    """Return the latest pod of a volume."""
    return next(life for life in reversed(stage.world.lives.values()) if life.index == index)


def until_it_runs(stage: Stage, index: int = 0) -> Life:
    """Let the next pod of a volume be made, and its worker begin."""
    life = until_made(stage, index)
    stage.world.start(life)
    stage.let_pass([0.1] * 2)
    return life


def until_it_calls(stage: Stage) -> Teller:
    """Let the next pod be made, its worker begin, and register; return its process."""
    teller = stage.guard.fence.teller(until_it_runs(stage))
    stage.register(the_operator(stage), teller)
    return teller


def until_made(stage: Stage, index: int = 0) -> Life:
    """Let the next pod of a volume be made."""
    for _ in range(20):
        stage.let_pass([0.5])
        lives = [life for life in stage.lives(begun=False, ended=False) if life.index == index]
        if lives:
            return lives[-1]
    raise AssertionError(f"volume {index} gets no pod")


def task_of(stage: Stage, index: int = 0) -> str:
    """Return the name of the VolumeTask of a volume."""
    return next(name for name, number in stage.world.index.items() if number == index)


def under_way(stage: Stage, operator: Process, action: str) -> Doing:
    """Let an operator go on until it is about to make the requests of an action."""
    for _ in range(50):
        found = [doing for doing in operator.under_way if doing.label.startswith(action)]
        if found:
            return found[0]
        if operator.under_way:
            stage.step(operator, operator.under_way[0], "answer")
        else:
            stage.world.tick(0.5)
            operator.hear_all()
            stage.look(operator)
    raise AssertionError(f"it never comes to {action}")


def restart(stage: Stage) -> Process:
    """End the operator where it stands, and start another."""
    stage.kill(the_operator(stage))
    stage.start()
    return the_operator(stage)
