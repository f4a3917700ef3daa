"""The pod of an attempt: the Job's template, and what every task pod has."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bec_operator.act.kube.pod_records import DO_NOT_EVICT
from bec_operator.act.kube.retry_changes import fit, shun_nodes
from bec_operator.api.base import API_VERSION, GROUP, seconds
from bec_operator.api.job import JobSpec
from bec_operator.api.names import (
    AVOIDED_ANNOTATION,
    GENERATION_ANNOTATION,
    JOB_LABEL,
    OWNER_LABEL,
    POOL_LABEL,
    REDO_AT_ANNOTATION,
    TASK_LABEL,
    WORKER_CONTAINER,
    pod_name,
    pool_name,
)
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.settings import Settings
from bec_ops.contract.protocol import AUDIENCE

Object = dict[str, Any]

_TOKEN_FOLDER = "/var/run/secrets/bec.bdrc.io"  # noqa: S105 - a place, not a secret
_WORK_FOLDER = "/var/lib/bec"
_CA_FOLDER, _CA_FILE = "/etc/bec/s3-ca", "ca.crt"
_TOKEN_SECONDS = 3600  # the kubelet renews it after 80% of that
_VOLUMES: list[Object] = [
    {
        "name": "bec-token",
        "projected": {
            "sources": [
                {
                    "serviceAccountToken": {
                        "audience": AUDIENCE,
                        "expirationSeconds": _TOKEN_SECONDS,
                        "path": "token",
                    }
                }
            ]
        },
    },
    {"name": "bec-work", "emptyDir": {}},
]
_MOUNTS: list[Object] = [
    {"name": "bec-token", "mountPath": _TOKEN_FOLDER, "readOnly": True},
    {"name": "bec-work", "mountPath": _WORK_FOLDER},
]
_POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def task_pod(
    memory: Memory,
    index: int,
    task: str,
    task_uid: str,
    attempt: int,
    settings: Settings,
    failed: Sequence[Attempt] = (),
) -> Object:
    """Return the pod of attempt `attempt` at the task of the volume at `index`.

    `failed` are the attempts before it; none of them, and it is as the template has it.
    """
    volume, redo_at = memory.books.volumes[index], redo_moment(memory)
    values = {
        "BEC_W_ID": volume.w_id,
        "BEC_I_ID": volume.i_id,
        "BEC_I_VERSION": volume.i_version,
        "BEC_ATTEMPT": str(attempt),
        "BEC_TASK_UID": task_uid,
        "BEC_OUTPUT_URI": memory.output_uri(index),
        "BEC_REDO_AT": redo_at,
    }
    template = _worker_template(memory, values, settings, failed)
    template["spec"]["restartPolicy"] = "Never"
    metadata = template["metadata"]
    metadata["labels"] |= {TASK_LABEL: task, OWNER_LABEL: task_uid}
    metadata["annotations"] |= {**DO_NOT_EVICT, GENERATION_ANNOTATION: str(memory.job.generation)}
    if redo_at is not None:
        metadata["annotations"][REDO_AT_ANNOTATION] = redo_at
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(task, attempt),
            "namespace": memory.job.namespace,
            **metadata,
            "ownerReferences": [owner("VolumeTask", task, task_uid)],
        },
        "spec": template["spec"],
    }


def pool_deployment(memory: Memory, settings: Settings, replicas: int = 0) -> Object:
    """Return the Deployment of the job's pool as it is now; another template has another name."""
    assert memory.job.spec is not None
    job = memory.job
    template = _worker_template(memory, {"BEC_POOL": "true"}, settings)
    spec = template["spec"]
    spec["restartPolicy"] = "Always"
    # A worker that is to go finishes its volume; one that hangs is ended by the time-outs.
    spec["terminationGracePeriodSeconds"] = int(seconds(memory.job.spec.timeouts.task))
    spec.pop("activeDeadlineSeconds", None)
    avoided = memory.books.hosts.of_pool
    shun_nodes(spec, [], avoided)
    name = pool_name(job.name, json.dumps(template, sort_keys=True))
    labels = {JOB_LABEL: job.name, POOL_LABEL: name}
    template["metadata"]["labels"] |= labels
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": labels,
            "annotations": {AVOIDED_ANNOTATION: ",".join(avoided)} if avoided else {},
            "ownerReferences": [owner("Job", job.name, job.uid)],
        },
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": {POOL_LABEL: name}},
            "template": template,
        },
    }


def pool_revision(memory: Memory, settings: Settings) -> str:
    """Return the name of that Deployment; empty for a job without a pool."""
    if memory.job.spec is None or memory.job.spec.pool is None:
        return ""
    return str(pool_deployment(memory, settings)["metadata"]["name"])


def _worker_template(
    memory: Memory,
    values: Mapping[str, str | None],
    settings: Settings,
    failed: Sequence[Attempt] = (),
) -> Object:
    """Return the Job's template with what every worker has, and `values` in its environment."""
    assert memory.job.spec is not None
    worker = memory.job.spec.worker
    template = copy.deepcopy(worker.template)
    metadata = template.get("metadata") or {}
    spec = template["spec"]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        container["securityContext"] = {
            **_CONTAINER_SECURITY,
            **(container.get("securityContext") or {}),
        }
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    container = next(c for c in spec["containers"] if c["name"] == WORKER_CONTAINER)
    fit(spec, container, failed, memory.job.spec.retry.out_of_memory)
    environment = _environment({**_of_job(memory, settings), **values})
    volumes, mounts = _given(settings)
    _set_up_worker(container, environment, mounts, memory.output.credentials_secret)
    spec["volumes"] = [*map(_without_tokens, spec.get("volumes") or []), *volumes]
    return {
        "metadata": {
            "labels": {**_foreign(metadata.get("labels")), JOB_LABEL: memory.job.name},
            "annotations": _foreign(metadata.get("annotations")),
        },
        "spec": {
            "enableServiceLinks": False,  # a Service called bec-… would set BEC_… variables
            **spec,
            "automountServiceAccountToken": False,
            "securityContext": {**_POD_SECURITY, **(spec.get("securityContext") or {})},
        },
    }


def _foreign(marks: Mapping[str, str] | None) -> dict[str, str]:
    """Return labels or annotations of a template without ours: those say what we have decided."""
    return {name: text for name, text in (marks or {}).items() if not name.startswith(f"{GROUP}/")}


def redo_moment(memory: Memory) -> str | None:
    """Return since when the job is done again, as its workers are told it; None if it is not."""
    ledger = memory.ledger
    return iso(ledger.redone.moment) if ledger is not None and ledger.redone.moment else None


def _without_tokens(volume: Object) -> Object:
    """Take tokens for the API server out of a volume: workers hold no Kubernetes rights.

    One with an audience of its own is for somebody else, such as a cloud's identity service.
    """
    projected = volume.get("projected")
    if not projected:
        return volume
    sources = [
        source
        for source in projected.get("sources") or []
        if "serviceAccountToken" not in source or source["serviceAccountToken"].get("audience")
    ]
    return {**volume, "projected": {**projected, "sources": sources}}


def heartbeat_seconds(spec: JobSpec | None, settings: Settings) -> float:
    """Return the seconds between two heartbeats of a job's workers.

    They call thrice within the time-out at least, so that none is silent for one lost call. The
    spec is None where it cannot be read.
    """
    if spec is None:
        return settings.heartbeat_seconds
    return min(settings.heartbeat_seconds, seconds(spec.timeouts.heartbeat) / 3)


def owner(kind: str, name: str, uid: str) -> Object:
    """Return the reference that lets Kubernetes clean up after `kind` `name`."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
    }


def _of_job(memory: Memory, settings: Settings) -> dict[str, str | None]:
    """Return the variables that are the same for all volumes of a job."""
    assert memory.job.spec is not None
    output, worker = memory.output, memory.job.spec.worker
    return {
        "BEC_JOB_ID": memory.job.job_id,
        "BEC_HANDLER": worker.handler,
        "BEC_OUTPUT_TEMPLATE": f"s3://{output.bucket}/{output.prefix}",
        "BEC_PARAMETERS": json.dumps(worker.parameters, ensure_ascii=False),
        "BEC_EXPECT": json.dumps(output.expect, ensure_ascii=False) if output.expect else None,
        "BEC_DEPENDENCIES": _dependencies(memory),
        "BEC_OPERATOR_URL": settings.worker_url,
        "BEC_TOKEN_FILE": f"{_TOKEN_FOLDER}/token",
        "BEC_HEARTBEAT_SECONDS": f"{heartbeat_seconds(memory.job.spec, settings):g}",
        "BEC_WORK_DIR": _WORK_FOLDER,
        "AWS_ENDPOINT_URL_S3": settings.s3_endpoint,
        "AWS_REGION": settings.s3_region,
        "AWS_CA_BUNDLE": f"{_CA_FOLDER}/{_CA_FILE}" if settings.s3_ca_config_map else None,
        **settings.store.environment(),
    }


def _environment(values: Mapping[str, str | None]) -> list[Object]:
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


def _given(settings: Settings) -> tuple[list[Object], list[Object]]:
    """Return the volumes that every worker has, and where they are mounted."""
    if not settings.s3_ca_config_map:
        return _VOLUMES, _MOUNTS
    items = [{"key": settings.s3_ca_key, "path": _CA_FILE}]
    source = {"name": settings.s3_ca_config_map, "items": items}
    mount = {"name": "bec-s3-ca", "mountPath": _CA_FOLDER, "readOnly": True}
    return [*_VOLUMES, {"name": "bec-s3-ca", "configMap": source}], [*_MOUNTS, mount]


def _set_up_worker(
    container: Object, environment: list[Object], mounts: list[Object], secret: str | None
) -> None:
    """Give the worker its task. Of the template's own variables only BEC_… ones are replaced."""
    own = [e for e in container.get("env") or [] if not str(e.get("name", "")).startswith("BEC_")]
    named = {e.get("name") for e in own}
    container["env"] = [e for e in environment if e["name"] not in named] + own
    if secret is not None:
        sources = container.get("envFrom") or []
        container["envFrom"] = [*sources, {"secretRef": {"name": secret}}]
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), *mounts]
