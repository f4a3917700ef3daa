"""The record of every pod that there was, and what must be true of it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.kube import Body
from tests.support.pods import PlayedPod


@dataclass
class Run:
    """One pod, from its creation to its end. `places` are in the order of the watch's events."""

    pod: PlayedPod
    began: int
    ended: int | None = None
    phase: str = "Pending"
    deleted: bool = False

    @property
    def alive(self) -> bool:
        """Whether it may still run."""
        return self.ended is None

    def __str__(self) -> str:
        return f"{self.pod.name} (attempt {self.pod.task.attempt}, uid {self.pod.uid})"


@dataclass
class Runs:
    """All pods seen so far, in the order in which they came."""

    by_uid: dict[str, Run] = field(default_factory=dict)
    overlaps: list[str] = field(default_factory=list)
    most_alive: int = 0  # pods that there were at once
    _clock: int = 0

    def take_in(self, kind: str, pod: Body, play: PlayedPod | None) -> Run:
        """Note one event; `play` is given with the first one of a pod."""
        self._clock += 1
        uid = pod["metadata"]["uid"]
        run = self.by_uid.get(uid)
        if run is None:
            assert play is not None
            self._note_overlap(play)
            run = self.by_uid[uid] = Run(play, self._clock)
        run.phase = pod.get("status", {}).get("phase", "Pending")
        run.deleted = run.deleted or kind == "DELETED"
        if run.ended is None and (run.deleted or run.phase in {"Succeeded", "Failed"}):
            run.ended = self._clock
        self.most_alive = max(self.most_alive, sum(run.alive for run in self.by_uid.values()))
        return run

    def _note_overlap(self, play: PlayedPod) -> None:
        for other in self.by_uid.values():
            if other.alive and other.pod.task.output_uri == play.task.output_uri:
                self.overlaps.append(f"{play.name} began while {other} was alive")

    def all(self) -> list[Run]:
        """Return them all."""
        return list(self.by_uid.values())

    def of_volumes(self) -> dict[str, list[Run]]:
        """Return the pods of each volume, by the place where its output goes."""
        found: defaultdict[str, list[Run]] = defaultdict(list)
        for run in self.all():
            found[run.pod.task.output_uri].append(run)
        return dict(found)

    def check_one_pod_per_attempt(self) -> None:
        """See that no attempt had two pods, and that no two pods of a volume were alive at once."""
        assert not self.overlaps, "; ".join(self.overlaps)
        for place, runs in self.of_volumes().items():
            _check_unique(place, (run.pod.task.attempt for run in runs), runs)

    def check_each_ran_once(self, volumes: int) -> None:
        """See that so many volumes ran, each of them exactly once."""
        self.check_one_pod_per_attempt()
        twice = [", ".join(map(str, runs)) for runs in self.of_volumes().values() if len(runs) > 1]
        assert not twice, f"volumes ran more than once: {twice}"
        assert len(self.by_uid) == volumes, f"{len(self.by_uid)} of {volumes} volumes ran"


def _check_unique(place: str, attempts: Iterable[int], runs: list[Run]) -> None:
    numbers = sorted(attempts)
    expected = list(range(1, len(numbers) + 1))
    assert numbers == expected, f"attempts at {place}: {', '.join(map(str, runs))}"
