"""Names and labels: what the operator calls the objects that it makes."""

import base64
import hashlib
import json
import re

from bec_operator.api.base import GROUP
from bec_ops.contract.volume import Volume

JOB_LABEL = f"{GROUP}/job"
TASK_LABEL = f"{GROUP}/task"
OWNER_LABEL = f"{GROUP}/owner-uid"
"""On a VolumeTask or its pod: the UID of its owner. So many can be deleted with one request."""
POOL_LABEL = f"{GROUP}/pool"
"""On a Deployment and its pods: the name of the pool's revision, which is the Deployment's."""
WORKER_CONTAINER = "worker"
GENERATION_ANNOTATION = f"{GROUP}/generation"
"""On a pod: the generation of the Job that it was made from."""
REDO_AT_ANNOTATION = f"{GROUP}/redo-at"
"""On a pod: since when the Job was done again when it was made."""
FIRST_ATTEMPT_ANNOTATION = f"{GROUP}/first-attempt"
"""On a VolumeTask that was made for a worker of a pool: the attempt, while the status has none."""
DRAINING_ANNOTATION = f"{GROUP}/draining"
"""On a pod of a pool: it gets no more work, and is about to go."""
AVOIDED_ANNOTATION = f"{GROUP}/avoided-nodes"
"""On a pool's Deployment: the nodes to which its pods must not go, with commas between them."""
HEARTBEAT_CONDITION = f"{GROUP}/Heartbeat"
"""The pod condition that tells when the worker last called, and how far it is."""
STOPPED_CONDITION = f"{GROUP}/Stopped"
"""The pod condition that tells why the operator has ended the attempt."""

_SLUG_LENGTH = 38
_JOB_LENGTH = 34  # of its name in those of pods, which are to stay at most 63 characters long
_REVISION_LENGTH = 10
_HASH_LENGTH = 13  # base32: 65 bits, so 200,000 volumes of a job do not meet


def task_name(job: str, volume: Volume) -> str:
    """Return the name of the task of `volume` in Job `job`: legal, unique, at most 52 characters.

    A readable slug of the ids, and a hash of the Job's name and the exact ids.
    """
    exact = json.dumps([job, *volume], ensure_ascii=True).encode()
    digest = _hash(exact, _HASH_LENGTH)
    slug = re.sub(r"[^a-z0-9]+", "-", "-".join(filter(None, volume)).lower())
    slug = slug[:_SLUG_LENGTH].strip("-")
    return f"{slug}-{digest}" if slug else f"v-{digest}"


def _hash(text: bytes, length: int) -> str:
    """Return the beginning of the SHA-256 of a text, in base32."""
    wanted = hashlib.sha256(text).digest()[: length * 5 // 8 + 1]
    return base64.b32encode(wanted).decode().lower()[:length]


def pod_name(task: str, attempt: int) -> str:
    """Return the name of the pod of an attempt."""
    return f"{task}-{attempt}"


def pool_name(job: str, template: str) -> str:
    """Return the name of the Deployment of a Job's pool whose pod template is this JSON."""
    revision = _hash(f"{job}\n{template}".encode(), _REVISION_LENGTH)
    return f"{job[:_JOB_LENGTH].rstrip('-.')}-pool-{revision}"


def ledger_name(job: str) -> str:
    """Return the name of the ConfigMap that holds the ledger of Job `job`."""
    return f"{job}-ledger"
