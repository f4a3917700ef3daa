"""The tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
SCHEMA = "bec_operator"

TEXT, WHOLE, FLAG = sa.Text(), sa.BigInteger(), sa.Boolean()
MOMENT: TypeEngine[Any] = sa.TIMESTAMP(timezone=True)
SHARE: TypeEngine[Any] = sa.Double()
KEY, NEEDED, OPEN = "key", "needed", "open"
Column = tuple[str, "TypeEngine[Any]", str, str]  # name, type, whether it can be NULL, comment

JOBS: list[Column] = [
    ("job_uid", TEXT, KEY, "UID of the Job's resource: another one for a Job that is made anew"),
    ("namespace", TEXT, NEEDED, "Namespace of the resource"),
    ("name", TEXT, NEEDED, "Name of the resource"),
    ("job_id", TEXT, NEEDED, "spec.jobId, or the name"),
    ("created", MOMENT, OPEN, "When the resource was made"),
    ("source", TEXT, NEEDED, "Where the volumes come from"),
    ("parameters", sa.JSON(), OPEN, "spec.worker.parameters"),
    ("phase", TEXT, NEEDED, "Pending, Running, Suspended, Complete, Failed or Deleted"),
    ("percent", WHOLE, OPEN, "How much is done"),
    ("total", WHOLE, OPEN, "Volumes; the sum of waiting to skipped"),
    ("waiting", WHOLE, OPEN, "Volumes that have no task yet"),
    ("queued", WHOLE, OPEN, "Volumes whose first attempt is about to start"),
    ("running", WHOLE, OPEN, "Volumes with an attempt that runs"),
    ("retrying", WHOLE, OPEN, "Volumes that wait for their next attempt"),
    ("succeeded", WHOLE, OPEN, "Volumes that are done"),
    ("failed", WHOLE, OPEN, "Volumes that have no further attempt"),
    ("skipped", WHOLE, OPEN, "Volumes that were not tried"),
    ("already_done", WHOLE, OPEN, "Of succeeded: done before this Job came to them"),
    ("rate", TEXT, OPEN, "What workers get done, such as 5200 pages/h"),
    ("eta", TEXT, OPEN, "Time left at the rate so far, such as 2h10m"),
    ("started", MOMENT, OPEN, "When the Job began"),
    ("completed", MOMENT, OPEN, "When the Job ended, or was deleted"),
    ("told", MOMENT, NEEDED, "When this row was written last"),
]
VOLUMES: list[Column] = [
    ("w_id", TEXT, KEY, "The work"),
    ("i_id", TEXT, KEY, "The image group"),
    ("newest_version", TEXT, NEEDED, "Of the versions that Jobs had, the one that came last"),
    ("newest_since", MOMENT, NEEDED, "When a Job was first told to have it"),
]
RESULTS: list[Column] = [
    ("result_id", WHOLE, KEY, "What attempts refer to; without a meaning outside"),
    ("job_uid", TEXT, NEEDED, "The Job"),
    ("w_id", TEXT, NEEDED, "The work"),
    ("i_id", TEXT, NEEDED, "The image group"),
    ("i_version", TEXT, NEEDED, "The version; empty if volumes have none"),
    ("place", WHOLE, OPEN, "Place of the volume in the Job's manifest, from 0"),
    ("outcome", TEXT, NEEDED, "waiting (not over, or opened again), succeeded, failed or skipped"),
    ("failure", TEXT, NEEDED, "The failure class; AlreadyDone if it was done before; else empty"),
    ("message", TEXT, NEEDED, "Why, as a sentence"),
    ("output", TEXT, NEEDED, "Where the artefacts are"),
    ("task", TEXT, NEEDED, "Name of the VolumeTask"),
    ("task_uid", TEXT, NEEDED, "Its UID; another one each time that the volume is opened again"),
    ("items", WHOLE, OPEN, "Items (pages, mostly) that were made"),
    ("errors", WHOLE, OPEN, "Items that could not be worked on"),
    ("duration_ms", SHARE, OPEN, "Milliseconds of the work alone"),
    ("artefacts", WHOLE, OPEN, "How many artefacts"),
    ("artefact_bytes", WHOLE, OPEN, "Their bytes"),
    ("etag", TEXT, OPEN, "Of what the volume was made from"),
    ("written", MOMENT, OPEN, "When the success marker was written, by the worker's clock"),
    ("seen", MOMENT, NEEDED, "When this volume was first told of"),
    ("told", MOMENT, OPEN, "When the outcome became known; NULL before the first one"),
]
ATTEMPTS: list[Column] = [
    ("result_id", WHOLE, KEY, "The volume of a Job"),
    ("task_uid", TEXT, KEY, "The VolumeTask: a volume that is opened again gets another"),
    ("number", WHOLE, KEY, "From 1 for each VolumeTask"),
    ("state", TEXT, NEEDED, "running, succeeded or failed"),
    ("failure", TEXT, NEEDED, "The failure class; empty unless it has failed"),
    ("message", TEXT, NEEDED, "Why, as a sentence"),
    ("repeats", WHOLE, NEEDED, "Earlier attempts of this class that it stands for, too"),
    ("pod", TEXT, NEEDED, "The pod that it ran in; many run in one pod of a pool"),
    ("pod_uid", TEXT, NEEDED, "UID of the pod"),
    ("node", TEXT, NEEDED, "Where the pod ran"),
    ("started", MOMENT, OPEN, "When it began"),
    ("ended", MOMENT, OPEN, "When it ended"),
    ("exit_code", WHOLE, OPEN, "Exit code of the process"),
    ("log", TEXT, NEEDED, "Where the end of its output is, or why it is lost"),
    ("progress_done", WHOLE, OPEN, "Units that are done, as the worker said last"),
    ("progress_total", WHOLE, OPEN, "Units in all"),
    ("progress_unit", TEXT, OPEN, "What is counted, such as pages"),
    ("heartbeat", MOMENT, OPEN, "When the worker last called"),
    ("told", MOMENT, OPEN, "When the result became known that tells it; NULL before"),
]
WORKERS: list[Column] = [
    ("job_uid", TEXT, KEY, "The Job that it works for"),
    ("pod_uid", TEXT, KEY, "UID of the pod"),
    ("pod", TEXT, NEEDED, "The pod"),
    ("node", TEXT, NEEDED, "Where the pod runs"),
    ("in_pool", FLAG, NEEDED, "Whether it takes one volume after the other"),
    ("started", MOMENT, OPEN, "When it started"),
    ("heartbeat", MOMENT, OPEN, "When it last called; NULL if it never has"),
    ("stopped", MOMENT, OPEN, "When it was first missed; NULL while it is there"),
]


def upgrade() -> None:
    """Make them."""
    _create("jobs", "Jobs, and how they stand", JOBS)
    _create("volumes", "The catalogue: each volume that a Job had", VOLUMES)
    _create("results", "What became of each volume of each Job", RESULTS)
    _create("attempts", "Each try at a volume, also those before it was opened again", ATTEMPTS)
    _create("workers", "Processes that take volumes", WORKERS)
    _also(
        "ALTER TABLE {0}.results ALTER COLUMN result_id ADD GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE {0}.results ADD FOREIGN KEY (job_uid) REFERENCES {0}.jobs ON DELETE CASCADE",
        "ALTER TABLE {0}.attempts ADD FOREIGN KEY (result_id) REFERENCES {0}.results"
        " ON DELETE CASCADE",
        "ALTER TABLE {0}.workers ADD FOREIGN KEY (job_uid) REFERENCES {0}.jobs ON DELETE CASCADE",
        "CREATE UNIQUE INDEX results_key ON {0}.results (job_uid, w_id, i_id, i_version)",
        "CREATE INDEX results_of_volume ON {0}.results (w_id, i_id, i_version)",
        "CREATE INDEX results_outcome ON {0}.results (job_uid, outcome)",
        "CREATE INDEX attempts_running ON {0}.attempts (result_id) WHERE state = 'running'",
        "CREATE INDEX workers_there ON {0}.workers (job_uid) WHERE stopped IS NULL",
    )


def _create(table: str, comment: str, columns: list[Column]) -> None:
    made = [
        sa.Column(
            name,
            kind,
            comment=said,
            primary_key=is_ == KEY,
            nullable=is_ == OPEN,
            autoincrement=False,
        )
        for name, kind, is_, said in columns
    ]
    op.create_table(table, *made, comment=comment, schema=SCHEMA)


def _also(*statements: str) -> None:
    for statement in statements:
        op.execute(statement.format(SCHEMA))
