"""Jobs of which much is done already, without a run of hours: what is stored of them says so."""

import base64
import gzip
import hashlib
import json
import zlib

from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from bec_operator.act.kube.pod_spec import owner
from bec_operator.api.names import JOB_LABEL, ledger_name
from bec_operator.decide.volumes.ledger import Outcome
from tests.scale.sides import BUCKET, JOBS, NAMESPACE
from tests.support.kube import Body, Kube


def make_begun(kube: Kube, s3: S3Client, spec: Body, listed: bytes, share: float) -> None:
    """Make a Job over a csv list of which the first `share` has succeeded, by its ledger.

    To be done while no operator runs.
    """
    made = kube.create(JOBS, spec)
    name = made["metadata"]["name"]
    rows = [line.split(",") for line in listed.decode().splitlines()]
    volumes = [{"wId": w_id, "iId": i_id, "iVersion": ""} for w_id, i_id in rows]
    lines = "".join(json.dumps(volume, ensure_ascii=False) + "\n" for volume in volumes).encode()
    digest = hashlib.sha256(lines).hexdigest()
    key = f"artefacts/{name}/_job/manifest-{digest[:16]}.jsonl.gz"
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(lines, mtime=0))
    done = int(share * len(volumes))
    ledger = bytes([Outcome.SUCCEEDED]) * done + bytes([Outcome.WAITING]) * (len(volumes) - done)
    stored = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ledger_name(name),
            "labels": {JOB_LABEL: name},
            "ownerReferences": [owner("Job", name, made["metadata"]["uid"])],
        },
        "data": {"manifest": digest, "total": str(len(volumes))},
        "binaryData": {"ledger": base64.b64encode(zlib.compress(ledger)).decode()},
    }
    kube.create(core(NAMESPACE, "configmaps"), stored)
