"""Side by side with a native Indexed Job: `make bench`.

Both run the same number of one-container pods on nodes that are not there, so many at a time; the
same simulated workers write real markers to the real S3 for both. The figures go to
`build/bench.json`, too.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from tests.cluster import Cluster, Parts
from tests.scale.api_metrics import per_task, requests
from tests.scale.fleet import fleet
from tests.scale.lists import made_list
from tests.support.jobs import LiveJob, job, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
BUCKET = "bench"
POD = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}
console = Console(highlight=False)


def ours(cluster: Cluster, operator: Operator, name: str, tasks: int, at_once: int) -> Body:
    """Run a Job of ours to `Complete`, and return its figures."""
    kube = Kube(cluster.kubeconfig)
    source = manifest(BUCKET, f"lists/{tasks}.csv")
    spec = job(
        name,
        BUCKET,
        source,
        worker={"template": {"spec": POD}},
        parallelism=at_once,
        history={"succeeded": 0},
    )
    process = psutil.Process(operator.pid)
    before, cpu = requests(cluster), _cpu(process)
    began = time.monotonic()
    kube.create("/apis/bec.bdrc.io/v1alpha1/namespaces/default/jobs", spec)
    LiveJob(kube, "default", name).wait_complete(1200)
    seconds = time.monotonic() - began
    spent = _cpu(process) - cpu
    tasks_left = "/apis/bec.bdrc.io/v1alpha1/namespaces/default/volumetasks"
    until(lambda: not kube.items(tasks_left), "all is cleaned up", timeout=120)
    return {
        "tasks/s": round(tasks / seconds, 1),
        "seconds until cleaned up": round(time.monotonic() - began, 1),
        "operator CPU ms a task": round(1000 * spent / tasks, 2),
        "operator memory MB": round(process.memory_info().rss / 1e6),
        "API requests a task, of all": per_task(before, requests(cluster), tasks),
    }


def native(cluster: Cluster, name: str, tasks: int, at_once: int) -> Body:
    """Run a native Indexed Job to its end, and return its figures."""
    kube = Kube(cluster.kubeconfig)
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {
        "metadata": {"labels": {"bec.bdrc.io/task": name}},  # so that the workers see its pods
        "spec": {**POD, "containers": [_native_worker(name)], "restartPolicy": "Never"},
    }
    spec = {
        "completions": tasks,
        "parallelism": at_once,
        "completionMode": "Indexed",
        "template": template,
    }
    before, began = requests(cluster), time.monotonic()
    kube.create(
        jobs,
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec},
    )

    def complete() -> bool:
        conditions = kube.get(f"{jobs}/{name}").get("status", {}).get("conditions", [])
        return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)

    until(complete, "the native Job is complete", timeout=1200)
    seconds = time.monotonic() - began
    figures = {
        "tasks/s": round(tasks / seconds, 1),
        "API requests a task, of all": per_task(before, requests(cluster), tasks),
    }
    kube.delete(f"{jobs}/{name}")
    pods = "/api/v1/namespaces/default/pods"
    until(lambda: not kube.items(pods, limit="1"), "its pods are gone", timeout=300)
    return figures


def _native_worker(name: str) -> dict[str, Any]:
    plain = {
        "BEC_JOB_ID": name,
        "BEC_W_ID": "W1",
        "BEC_I_ID": "I1",
        "BEC_OUTPUT_URI": f"s3://{BUCKET}/native/{name}/",
        "BEC_WORKER_ID": "native",
    }
    env = [{"name": key, "value": value} for key, value in plain.items()]
    return {"name": "worker", "image": "none", "env": env}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(
    tasks: Annotated[int, typer.Option(help="tasks a run")] = 2000,
    at_once: Annotated[int, typer.Option(help="pods at once")] = 500,
    pairs: Annotated[int, typer.Option(help="how often each side runs")] = 3,
) -> None:
    """Measure, print, and write build/bench.json."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    runs: dict[str, list[Body]] = {"ours": [], "native": []}
    with Cluster.start("bench", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        client = s3_client(cluster.s3)
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key=f"lists/{tasks}.csv", Body=made_list(tasks))
        log = build / "bench-operator.log"
        with (
            Operator(cluster.kubeconfig, cluster.s3, log) as operator,
            fleet(cluster, build / "bench-fleet.log"),
        ):
            for pair in range(pairs):
                runs["ours"].append(ours(cluster, operator, f"ours-{pair}", tasks, at_once))
                runs["native"].append(native(cluster, f"native-{pair}", tasks, at_once))
                for side, done in runs.items():
                    console.print(f"[bold]{side} {pair}[/] {json.dumps(done[-1])}", soft_wrap=True)
    ratios = [
        round(us["tasks/s"] / them["tasks/s"], 2)
        for us, them in zip(runs["ours"], runs["native"], strict=True)
    ]
    console.print(f"tasks/s, ours to native: {sorted(ratios)}")
    (build / "bench.json").write_text(json.dumps({**runs, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    typer.run(main)
