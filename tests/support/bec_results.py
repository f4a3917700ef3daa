"""Results of a Job, as they are told to the tables of a BEC installation."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bec_operator.act.connections.results.bec.tables import BecTables
from bec_operator.api.job import Condition, Counts, JobPhase, JobStatus
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import (
    JobTold,
    Result,
    Snapshot,
    UnderWay,
    WorkerTold,
)
from bec_ops.contract.volume import Volume
from tests.support.bec_tables import GRANTS, TABLES, BecTools
from tests.support.postgres import Postgres, running_postgres

T0 = datetime(2024, 2, 29, 12, tzinfo=UTC)
ETAG, LATER_ETAG = "0c1d2e" + 26 * "a", "7f6e5d" + 26 * "b"
VOLUME, LATER = Volume("W22084", "I0886", "0c1d2e"), Volume("W22084", "I0886", "7f6e5d")
ENDED = JobStatus(
    phase=JobPhase.COMPLETE,
    counts=Counts(total=1, succeeded=1),
    conditions=[
        Condition(
            type="Complete", status="True", reason="", last_transition_time="2024-02-29T12:00:00Z"
        )
    ],
)


@contextmanager
def running_installation() -> Iterator[Postgres]:
    """Run a server with the tables, and a role that has the rights of the documentation."""
    with running_postgres(tls=True) as postgres:
        postgres.run(*TABLES, "CREATE ROLE operator LOGIN PASSWORD 'writes'", *GRANTS)
        yield postgres


def as_operator(postgres: Postgres) -> psycopg.Connection:
    """Come in as the operator does, and as BEC's tools: not without TLS."""
    return psycopg.connect(postgres.url("operator", "writes", sslmode="require"))


@contextmanager
def empty_installation(postgres: Postgres) -> Iterator["Installation"]:
    """Have an installation of which nothing is known yet."""
    postgres.run("TRUNCATE jobs, volumes, workers, task_executions")
    with as_operator(postgres) as session:
        yield Installation(session)


class Installation:
    """An installation, and a Job whose results it gets: each write comes twice."""

    def __init__(self, session: psycopg.Connection) -> None:
        self.session = session
        self.tools = BecTools(session)
        self.job = job_told()

    def write(self, *results: Result) -> Sequence[str]:
        """Write what became of volumes; return what is told."""
        told = self.once(lambda c: BecTables().write(c, self.job, results))
        before = self.tools.everything()
        assert self.once(lambda c: BecTables().write(c, self.job, results)) == told
        assert self.tools.everything() == before
        return told

    def show(self, *under_way: UnderWay, workers: Sequence[WorkerTold] = ()) -> None:
        """Write what runs and who works."""
        snapshot = Snapshot(under_way, workers)
        for _ in range(2):
            assert not self.once(lambda c: BecTables().show(c, self.job, snapshot))

    def once(self, write: Callable[[Any], Sequence[str]]) -> Sequence[str]:
        """Write in one transaction."""
        with self.session.transaction(), self.session.cursor() as cursor:
            return write(cursor)


def job_told(name: str = "ocrv1", uid: str = "u-1", status: JobStatus | None = None) -> JobTold:
    """Return a Job."""
    source = "https://sqs.us-east-1.amazonaws.com/1/bec_ocrv1_tasks"
    status = JobStatus() if status is None else status
    return JobTold("ocr", "job", uid, name, moment(0), '{"model": "Woodblock"}', source, status)


def moment(seconds: float) -> str:
    """Return a moment so many seconds after the first."""
    return (T0 + timedelta(seconds=seconds)).isoformat()


def attempt(number: int = 1, start: float = 0, end: float | None = None, **more: Any) -> Attempt:
    """Return an attempt; it has ended if there is an end."""
    pod = more.pop("pod", f"pod-{number}")
    return Attempt(
        number=number,
        pod=pod,
        pod_uid=more.pop("pod_uid", f"uid-{pod}"),
        node="node-a",
        start_time=moment(start),
        end_time=None if end is None else moment(end),
        **more,
    )


def result(
    volume: Volume = VOLUME, outcome: Any = "succeeded", told: float = 60, **more: Any
) -> Result:
    """Return what became of a volume."""
    attempts = more.pop("attempts", [attempt(end=told - 10)])
    return Result(
        job_uid="u-1", index=0, outcome=outcome, told=moment(told), attempts=attempts,
        **dict(zip(("w_id", "i_id", "i_version"), volume, strict=True)), **more,
    )  # fmt: skip


def made(items: int | None = 100, errors: int | None = 0, **more: Any) -> Made:
    """Return what a marker says."""
    return Made(items=items, errors=errors, **{"duration_ms": 40_000.0, "etag": ETAG, **more})


def running(volume: Volume = VOLUME, *failed: Attempt, now: Attempt | None = None) -> UnderWay:
    """Return a volume of which an attempt runs, or has failed."""
    return UnderWay(volume, 0, "", "task", "task-uid", failed, now)


def worker(name: str, called: float | None, uid: str = "") -> WorkerTold:
    """Return a worker of a pool."""
    return WorkerTold(name, uid or f"uid-{name}", "node-a", moment(0), called, in_pool=True)
