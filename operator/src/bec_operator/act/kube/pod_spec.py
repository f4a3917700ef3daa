"""The pod of an attempt: the Job's template, and what every task pod has."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bec_operator.act.kube.node_affinity import go_to_site
from bec_operator.act.kube.pod_records import DO_NOT_EVICT
from bec_operator.act.kube.retry_changes import fit, shun_nodes
from bec_operator.act.kube.worker_environment import (
    CA_FILE,
    CA_FOLDER,
    TOKEN_FOLDER,
    WORK_FOLDER,
    Object,
    environment,
    of_job,
    redo_moment,
)
from bec_operator.api.base import API_VERSION, GROUP, seconds
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
from bec_operator.decide.volumes.volume_sites import site_of
from bec_operator.settings import Settings
from bec_ops.contract.protocol import AUDIENCE
from bec_ops.contract.volume import Volume

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
    {"name": "bec-token", "mountPath": TOKEN_FOLDER, "readOnly": True},
    {"name": "bec-work", "mountPath": WORK_FOLDER},
]
_POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True, slots=True)
class AttemptOf:
    """Which attempt a pod is for: its number, the name and UID of the task of a volume, its output.

    `output` is the URI of the folder.
    """

    volume: Volume
    output: str
    task: str
    task_uid: str
    number: int


def task_pod(
    memory: Memory, of: AttemptOf, settings: Settings, failed: Sequence[Attempt] = ()
) -> Object:
    """Return the pod of an attempt.

    `failed` are the attempts before it; none of them, and it is as the template has it.
    """
    volume, redo_at = of.volume, redo_moment(memory)
    values = {
        "BEC_W_ID": volume.w_id,
        "BEC_I_ID": volume.i_id,
        "BEC_I_VERSION": volume.i_version,
        "BEC_ATTEMPT": str(of.number),
        "BEC_TASK_UID": of.task_uid,
        "BEC_OUTPUT_URI": of.output,
        "BEC_REDO_AT": redo_at,
    }
    template = _worker_template(memory, values, settings, failed)
    template["spec"]["restartPolicy"] = "Never"
    assert memory.job.spec is not None
    go_to_site(template["spec"], memory.job.spec.sites, site_of(volume))
    metadata = template["metadata"]
    metadata["labels"] |= {TASK_LABEL: of.task, OWNER_LABEL: of.task_uid}
    metadata["annotations"] |= {**DO_NOT_EVICT, GENERATION_ANNOTATION: str(memory.job.generation)}
    if redo_at is not None:
        metadata["annotations"][REDO_AT_ANNOTATION] = redo_at
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(of.task, of.number),
            "namespace": memory.job.namespace,
            **metadata,
            "ownerReferences": [owner("VolumeTask", of.task, of.task_uid)],
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
    variables = environment({**of_job(memory, settings), **values})
    volumes, mounts = _given(settings)
    _set_up_worker(container, variables, mounts, memory.output.credentials_secret)
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


def owner(kind: str, name: str, uid: str) -> Object:
    """Return the reference that lets Kubernetes clean up after `kind` `name`."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
    }


def _given(settings: Settings) -> tuple[list[Object], list[Object]]:
    """Return the volumes that every worker has, and where they are mounted."""
    if not settings.s3_ca_config_map:
        return _VOLUMES, _MOUNTS
    items = [{"key": settings.s3_ca_key, "path": CA_FILE}]
    source = {"name": settings.s3_ca_config_map, "items": items}
    mount = {"name": "bec-s3-ca", "mountPath": CA_FOLDER, "readOnly": True}
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
