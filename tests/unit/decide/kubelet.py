"""The kubelets and the garbage collector, where nothing goes wrong."""

from tests.unit.decide.world import GOOD_MARKER, World


def let_pods_go_on(world: World) -> None:
    """Let every pod of a Job go on: begin, end as the plan says, or go."""
    while world.orphans():
        world.collect_garbage()
    for life in world.pods():
        if world.is_deleting(life):
            world.remove_pod(life)
        elif not life.begun:
            world.start(life)
        elif life.worker_end is None:
            done = life.index not in world.plan.hopeless
            if done and not world.has_marker(life.index):
                world.write_marker(life.index, GOOD_MARKER)
            world.end_worker(life, 0 if done else 1)
        elif not life.over:
            world.end_sidecar(life)
