"""What the Job of an example asks for, and what the world around it is like."""

from dataclasses import dataclass

from bec_operator.decide.attempts.retrying import Budget
from tests.unit.decide.fake_api import Object
from tests.unit.decide.listing import Kind
from tests.unit.decide.receiving import WANTED

BUCKET = "bec"
# Seconds of the time-outs start, heartbeat, progress and task.
LONG = (100_000, 100_000, 200_000, 300_000)
SHORT = (100_000, 40, 90, 300)

# What a template may ask for that no worker gets: a token for the API server itself.
GREEDY: Object = {
    "automountServiceAccountToken": True,
    "volumes": [
        {"name": "own", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    ],
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the Job asks for, and what the world is like."""

    volumes: int = 3
    parallelism: int = 2
    limit: int = 2
    keep_succeeded: int = 1
    keep_failed: int = 1
    max_failed: int | str = "100%"
    done_before: frozenset[int] = frozenset()
    sidecar: bool = False
    hopeless: frozenset[int] = frozenset()  # volumes that no attempt gets done in the end
    timeouts: tuple[int, int, int, int] = LONG
    greedy: bool = False  # its template asks for tokens
    source: Kind = "items"
    name: str = "ocr"
    job_id: str = ""  # its name, if it is nothing else
    depends_on: tuple[tuple[str, str], ...] = ()  # Jobs, and what to do if they fail for a volume
    pool: int = 0  # workers, at most
    results: bool = False  # whether a database and a queue get them

    @property
    def budget(self) -> Budget:
        """What the Job allows each volume."""
        return Budget(self.limit)

    def spec(self) -> Object:
        """Return the spec of the Job, but for its volumes."""
        containers = [{"name": "worker"}, *([{"name": "proxy"}] if self.sidecar else [])]
        pod = {**(GREEDY if self.greedy else {}), "containers": containers}
        names = ("start", "heartbeat", "progress", "task")
        timeouts = {name: f"{span}s" for name, span in zip(names, self.timeouts, strict=True)}
        timeouts["node"] = timeouts["start"]
        return {
            "worker": {"template": {"spec": pod}},
            "timeouts": timeouts,
            "output": {"bucket": BUCKET},
            "parallelism": self.parallelism,
            "retry": {"limit": self.limit, "backoff": {"initial": "1s", "max": "8s"}},
            "maxFailed": self.max_failed,
            "history": {"succeeded": self.keep_succeeded, "failed": self.keep_failed},
            **({"jobId": self.job_id} if self.job_id else {}),
            **({"pool": {"maxWorkers": self.pool}} if self.pool else {}),
            **({"results": WANTED} if self.results else {}),
            "dependsOn": [{"job": name, "onFailure": way} for name, way in self.depends_on],
        }
