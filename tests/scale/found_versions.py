"""Versions by ETag at real size, `make bench-versions`: how long they take, beside HEADs alone.

The operator runs a Job over volumes without versions, which a PostgreSQL lists, on fake nodes,
until each has one; the same list in S3, with versions, says what that costs in memory. Figures go
to `build/bench-versions.json`, and are held to `bounds.yaml`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from mypy_boto3_s3 import S3Client
from rich.console import Console

from bec_operator.act.volumes.version_ways import object_key
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale import bounds
from tests.scale.fleet import fleet
from tests.scale.lists import made_list
from tests.scale.meter import cpu_seconds, peak_memory
from tests.scale.recorder import made_pods
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, pod_per_task
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, condition, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.postgres import Postgres, running_postgres
from tests.support.space import s3_client
from tests.support.waiting import until

SIZE = 38_836
AT_ONCE = 50  # pods
HEADS = 32
TEMPLATE = "Works/{w_md5}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"
_LEFT = "still to be found"
console = Console(highlight=False)


def _volumes(size: int) -> list[Volume]:
    return [Volume(*line.split(",")) for line in made_list(size).decode().split()]


def _fill(client: S3Client, volumes: Sequence[Volume]) -> None:
    """Put there what each volume is known by, and the list without versions."""
    with ThreadPoolExecutor(HEADS) as pool:
        put = partial(client.put_object, Bucket=BUCKET)
        keys = [object_key(TEMPLATE, volume) for volume in volumes]
        list(pool.map(lambda key: put(Key=key, Body=key.encode()), keys))


def _list(postgres: Postgres, volumes: Sequence[Volume]) -> Body:
    """Put the volumes into a table, and return the source that reads them there."""
    with postgres.admin() as admin:
        admin.execute("CREATE TABLE volumes (place serial, w_id text, i_id text)")
        with admin.cursor().copy("COPY volumes (w_id, i_id) FROM STDIN") as copy:
            for volume in volumes:
                copy.write_row((volume.w_id, volume.i_id))
    query = "SELECT w_id, i_id FROM volumes ORDER BY place"
    return {"sql": {"connection": "catalogue", "query": query}}


def heads_alone(endpoint: str, region: str, size: int) -> float:
    """Ask for all objects with a store as the operator's, and do nothing else; return seconds."""
    store = Store(endpoint, region, connections=HEADS)
    keys = [object_key(TEMPLATE, volume) for volume in _volumes(size)]
    began = time.monotonic()
    with ThreadPoolExecutor(HEADS) as pool:
        found = list(pool.map(lambda key: store.head(BUCKET, key), keys))
    assert all(found)
    return time.monotonic() - began


def _alone(cluster: Cluster, size: int) -> float:
    """Do `heads_alone` in a process of its own."""
    s3 = cluster.s3
    code = (
        "from tests.scale.found_versions import heads_alone; "
        f"print(heads_alone({s3.endpoint_url!r}, {s3.region!r}, {size}))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=CHECKOUT,
        env={**os.environ, **s3.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _play(
    cluster: Cluster, mounted: Mounted, name: str, source: Body, seconds: float | None
) -> Body:
    """Run a Job until all versions are found, or for so many seconds; return the figures."""
    kube, build = Kube(cluster.kubeconfig), CHECKOUT / "build"
    log = build / f"bench-versions-{name}.log"
    with (
        fleet(cluster, build / "bench-versions-fleet.log", artefacts=0),
        Operator(cluster.kubeconfig, cluster.s3, log, **mounted.settings) as operator,
    ):
        began = time.monotonic()
        kube.create(JOBS, pod_per_task(name, source, AT_ONCE))
        until(lambda: made_pods(operator), "it makes pods", timeout=120)
        first = time.monotonic() - began
        live = LiveJob(kube, NAMESPACE, name)
        if seconds is None:
            live.wait(_all_found, "all versions are found", timeout=1200)
        else:
            until(lambda: time.monotonic() - began >= seconds, "as long", timeout=seconds + 60)
        found = live.read()
        figures = {
            "first_pod_seconds": round(first, 2),
            "seconds": round(time.monotonic() - began, 1),
            "done": found["status"]["counts"]["succeeded"],
            "operator_cpu_seconds": round(cpu_seconds(operator.pid), 1),
            "memory_peak_mb": peak_memory(operator.pid),
        }
        live.patch(suspend=True, suspendMode="Stop")
        live.delete()
    return figures


def _all_found(job: Body) -> bool:
    told = condition(job, "Ready")["message"]
    return "volumes done" in told and _LEFT not in told


def main(volumes: Annotated[int, typer.Option(help="of the list")] = SIZE) -> None:
    """Measure, print, write build/bench-versions.json, and fail if a bound is broken."""
    listed = _volumes(volumes)
    (CHECKOUT / "build").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as postgres,
        Cluster.start("bench-versions", Parts.KWOK) as cluster,
    ):
        mounted = Mounted(Path(folder), catalogue={"kind": "sql"})
        mounted.put("catalogue", url=postgres.url(sslmode="disable"))
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        with closing(s3_client(cluster.s3)) as client:
            client.create_bucket(Bucket=BUCKET)
            _fill(client, listed)
            named = "".join(f"{v.w_id},{v.i_id},000000\n" for v in listed).encode()
            client.put_object(Bucket=BUCKET, Key="lists/named.csv", Body=named)
        alone = [_alone(cluster, volumes)]
        versions = {"versions": {"etag": {"uri": f"s3://{BUCKET}/{TEMPLATE}"}}}
        etag = _play(cluster, mounted, "etag", {**_list(postgres, listed), **versions}, None)
        alone.append(_alone(cluster, volumes))
        named_list = manifest(BUCKET, "lists/named.csv")
        plain = _play(cluster, mounted, "listed", named_list, etag["seconds"])
    figures = {
        "volumes": volumes,
        "heads_alone_seconds": [round(each, 1) for each in alone],
        "etag": etag,
        "listed": plain,
        "ratio": round(etag["seconds"] / (sum(alone) / len(alone)), 2),
        "memory_more_mb": etag["memory_peak_mb"] - plain["memory_peak_mb"],
    }
    console.print_json(data=figures)
    (CHECKOUT / "build" / "bench-versions.json").write_text(json.dumps(figures, indent=1))
    if not bounds.check(console, "bench-versions", figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
