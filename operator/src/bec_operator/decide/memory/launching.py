"""How launches go: how many at once, and how long to wait after a refusal."""

from dataclasses import dataclass

from bec_operator.decide.sight.seen import Fact

FIRST_BURST = 8  # pods
TRIED_AT_ONCE = 0.5  # seconds in which refusals are answers to one round of tries
AGAIN_AFTER = (1.0, 15.0)  # seconds after which a refused create is tried again, doubled


@dataclass(slots=True)
class Launching:
    """How creating tasks, pods and Deployments went lately."""

    refused: Fact | None = None  # the last create, if the API server refused it
    refusals: int = 0  # creates in a row that were refused
    burst: int = FIRST_BURST  # pods that may be under way at once; grows as that goes well
    held: int = 0  # slots that were taken at the last look

    def note_refused(self, fact: Fact) -> None:
        """Take in that a task, a pod or a Deployment was not made: the next try waits longer.

        Those that were tried at once count as one try.
        """
        before, self.refused = self.refused, fact
        if before is None or fact.at - before.at >= TRIED_AT_ONCE:
            self.refusals += 1

    def note_pod_refused(self) -> None:
        """Take in that a pod was not made: the next ones are tried one by one."""
        self.burst = 1

    def note_made(self) -> None:
        """Take in that one was made."""
        self.refused, self.refusals = None, 0

    def note_pod_made(self) -> None:
        """Take in that a pod was made."""
        self.note_made()
        self.burst += 1

    def note_held(self, held: int) -> None:
        """Take in how many slots are taken."""
        if held < self.held:
            self.refusals = 0  # there may be room again
        self.held = held

    def may_try(self, now: float) -> bool:
        """Whether the last refusal is long enough ago."""
        first, most = AGAIN_AFTER
        wait = min(first * 2.0 ** min(max(self.refusals - 1, 0), 10), most)
        return self.refused is None or now - self.refused.at >= wait
