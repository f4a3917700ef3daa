"""What a worker may do, from its start to its end."""

from collections.abc import Callable, Collection

from tests.support.pods import PlayedPod, truncated
from tests.support.recorded import Recorded

Behaviour = Callable[[PlayedPod], None]


def succeed(pod: PlayedPod) -> None:
    """Do the work: the marker, then exit 0."""
    pod.start()
    pod.put_marker()
    pod.end(0)


def hang(pod: PlayedPod) -> None:
    """Run, and go on running until the test says otherwise."""
    pod.start()


def stay_pending(pod: PlayedPod) -> None:
    """Get a node, and no further."""
    pod.bind()


def lie(pod: PlayedPod) -> None:
    """Exit 0, without a marker."""
    pod.start()
    pod.end(0)


def break_off(pod: PlayedPod) -> None:
    """Die while the marker is written, and exit 0 all the same."""
    pod.start()
    pod.put_marker(truncated(pod.task.marker().dump()))
    pod.end(0)


def succeed_and_crash(pod: PlayedPod) -> None:
    """Write a good marker, and exit 1 afterwards."""
    pod.start()
    pod.put_marker()
    pod.end(1)


def fail(code: int, message: str = "") -> Behaviour:
    """Return a worker that exits with `code` and a last word."""

    def behaviour(pod: PlayedPod) -> None:
        pod.start()
        pod.end(code, message=message)

    return behaviour


def run_out_of_memory(pod: PlayedPod) -> None:
    """Be killed for its memory."""
    pod.start()
    pod.end(137, reason="OOMKilled")


def be_evicted(pod: PlayedPod) -> None:
    """Be thrown off its node while it runs."""
    pod.start()
    pod.evict()


def vanish(pod: PlayedPod) -> None:
    """Be deleted by force, in whatever state."""
    pod.vanish()


def mark_and_vanish(pod: PlayedPod) -> None:
    """Write a good marker, and be deleted before anything else happens."""
    pod.put_marker()
    pod.vanish()


def succeed_and_vanish(pod: PlayedPod) -> None:
    """Do the work, and be deleted in the same moment."""
    succeed(pod)
    pod.vanish()


def succeed_beside_sidecar(pod: PlayedPod) -> None:
    """Do the work, while a sidecar does not notice."""
    pod.start()
    pod.put_marker()
    pod.end_beside_sidecar(0)


def fail_beside_sidecar(pod: PlayedPod) -> None:
    """Exit 1, while a sidecar does not notice."""
    pod.start()
    pod.end_beside_sidecar(1)


def lack_image(pod: PlayedPod) -> None:
    """Wait for an image that cannot be pulled."""
    pod.wait_for_image("ImagePullBackOff", f'Back-off pulling image "{_image(pod)}"')


def _image(pod: PlayedPod) -> str:
    return str(pod.spec["containers"][0]["image"])


def become(name: str) -> Behaviour:
    """Return a pod that ends, or stands still, as one of a real kubelet did."""
    return lambda pod: pod.become(Recorded.read(name))


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Return a worker that does the first in attempt 1, the next in 2, and the last ever after."""

    def behaviour(pod: PlayedPod) -> None:
        behaviours[min(pod.task.attempt, len(behaviours)) - 1](pod)

    return behaviour


def for_volumes(i_ids: Collection[str], some: Behaviour, others: Behaviour = succeed) -> Behaviour:
    """Return a worker that does one thing for some volumes, and another for the rest."""
    return lambda pod: (some if pod.task.i_id in i_ids else others)(pod)
