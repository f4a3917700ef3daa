"""What a worker is told by its environment, as the job is now."""

import json
from collections.abc import Mapping
from typing import Any

from bec_operator.api.base import seconds
from bec_operator.api.job import JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.settings import Settings

Object = dict[str, Any]

TOKEN_FOLDER = "/var/run/secrets/bec.bdrc.io"  # noqa: S105 - a place, not a secret
WORK_FOLDER = "/var/lib/bec"
CA_FOLDER, CA_FILE = "/etc/bec/s3-ca", "ca.crt"


def of_job(memory: Memory, settings: Settings) -> dict[str, str | None]:
    """Return the variables that are the same for all volumes of a job."""
    assert memory.job.spec is not None
    output, worker = memory.output, memory.job.spec.worker
    schema = worker.result
    return {
        "BEC_JOB_ID": memory.job.job_id,
        "BEC_HANDLER": worker.handler,
        "BEC_OUTPUT_TEMPLATE": f"s3://{output.bucket}/{output.prefix}",
        "BEC_PARAMETERS": json.dumps(worker.parameters, ensure_ascii=False),
        "BEC_EXPECT": json.dumps(output.expect, ensure_ascii=False) if output.expect else None,
        "BEC_RESULT_SCHEMA": json.dumps(schema, ensure_ascii=False) if schema else None,
        "BEC_DEPENDENCIES": _dependencies(memory),
        "BEC_OPERATOR_URL": settings.worker_url,
        "BEC_TOKEN_FILE": f"{TOKEN_FOLDER}/token",
        "BEC_HEARTBEAT_SECONDS": f"{heartbeat_seconds(memory.job.spec, settings):g}",
        "BEC_WORK_DIR": WORK_FOLDER,
        "AWS_ENDPOINT_URL_S3": settings.s3_endpoint,
        "AWS_REGION": settings.s3_region,
        "AWS_CA_BUNDLE": f"{CA_FOLDER}/{CA_FILE}" if settings.s3_ca_config_map else None,
        **settings.store.environment(),
    }


def environment(values: Mapping[str, str | None]) -> list[Object]:
    """Return the variables of a worker's container; those that are None are left out."""
    # Kubernetes would take $(NAME) for a reference; $$(NAME) is the text itself.
    plain = [
        {"name": name, "value": value.replace("$(", "$$(")}
        for name, value in values.items()
        if value is not None
    ]
    return [
        *plain,
        {"name": "BEC_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BEC_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "BEC_WORKER_ID", "value": "$(BEC_POD_NAME)/$(BEC_POD_UID)"},
    ]


def _dependencies(memory: Memory) -> str | None:
    """Return where the jobs write on which this one depends, as JSON; None if there are none."""
    found = {}
    for place in memory.books.gates.places:
        redone = {"redoAt": iso(place.redone)} if place.redone else {}
        found[place.job_id] = {"bucket": place.bucket, "prefix": place.prefix, **redone}
    return json.dumps(found, ensure_ascii=False) if found else None


def redo_moment(memory: Memory) -> str | None:
    """Return since when the job is done again, as its workers are told it; None if it is not."""
    ledger = memory.ledger
    return iso(ledger.redone.moment) if ledger is not None and ledger.redone.moment else None


def heartbeat_seconds(spec: JobSpec | None, settings: Settings) -> float:
    """Return the seconds between two heartbeats of a job's workers.

    They call thrice within the time-out at least, so that none is silent for one lost call. The
    spec is None where it cannot be read.
    """
    if spec is None:
        return settings.heartbeat_seconds
    return min(settings.heartbeat_seconds, seconds(spec.timeouts.heartbeat) / 3)
