"""`bec-worker exec` in real pods: what stands under a marker is whole, or there is none."""

import gzip

from bec_ops.contract.location import escape
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import counts
from tests.support.kube import Body

MINUTES = 60.0
SOUND = {
    "gz": "seq 3000000 | tee >(gzip -9 > all.gz) > all.txt",
    "late": "(sleep 2; echo x > late.txt) &",
    "apart": "setsid bash -c 'sleep 2; echo x > late.txt' &",
}
BROKEN = {
    "closed": (
        "mkdir p; echo a > p/1.txt; chmod 000 p",
        "p/ in the output folder cannot be listed",
    ),
    "unlisted": ("mkdir p; echo a > p/1; chmod 0300 p", "p/ in the output folder cannot be listed"),
    "locked": ("echo a > 2.txt; chmod 000 2.txt", "2.txt in the output folder cannot be read"),
    "nowhere": ("ln -s nowhere latest", "latest in the output folder is a link that leads nowhere"),
    "socket": (
        "python -c \"import socket; socket.socket(socket.AF_UNIX).bind('s')\"",
        "s in the output folder is a socket",
    ),
    "logs": ("mkdir _logs; echo x > _logs/x", "the program has written _logs/x into its output"),
    "fifo": ("mkfifo f", "f in the output folder is a FIFO"),
    "marker": ("echo {} > success.json", "the program has written success.json into its output"),
    "daemon": (
        "setsid sleep 1000 &",
        "left processes behind that had not ended 5 s later: sleep (",
    ),
    "signal": ("exit 143", "bash ended with exit code 143"),
}


def test_each_volume_is_whole_or_fails_alone(site: Site) -> None:
    """`chanzuckerberg/miniwdl#211`, `github/gh-aw-mcpg#5711`, `gradle/gradle#9708`."""
    scripts = SOUND | {name: script for name, (script, _) in BROKEN.items()}
    cases = "".join(f"{name}) {script};;\n" for name, script in scripts.items())
    cases = cases.replace("&;;", "& ;;")
    script = f'cd "$BEC_OUTPUT_DIR"; echo 1 > 1.txt\ncase $BEC_I_ID in\n{cases}esac'
    job = site.apply(
        "scripts",
        site.namespace,
        [Volume("W1", name) for name in scripts],
        {"template": {"spec": exec_pod(script)}},
        parallelism=4,
        retry={"limit": 1, "backoff": {"initial": "1s"}},
        maxFailed="100%",
    )
    job.wait_phase("Complete", "Failed", timeout=6 * MINUTES)
    assert counts(job.read()) == {
        "total": len(scripts),
        "succeeded": len(SOUND),
        "failed": len(BROKEN),
    }
    last = {task["spec"]["volume"]["iId"]: task["status"]["attempts"][-1] for task in site.tasks()}
    for name, (_, message) in BROKEN.items():
        assert last[name]["failure"] == "Retryable", last[name]
        assert message in last[name]["message"]
        assert not site.store.get(site.bucket, f"{prefix(site, name)}{MARKER_NAME}")
    lines = gzip.decompress(artefact(site, "gz/all.gz"))
    assert lines == artefact(site, "gz/all.txt")
    assert artefact(site, "late/late.txt") == artefact(site, "apart/late.txt") == b"x\n"


def test_big_files_need_little_memory(site: Site) -> None:
    """`boto/s3transfer#52`, `boto/boto3#1634`."""
    script = 'for n in $(seq 8); do truncate -s 300M "$BEC_OUTPUT_DIR/$n"; done'
    pod = exec_pod(script, resources={"limits": {"memory": "256Mi"}})
    worker = {"template": {"spec": pod}}
    volumes = [Volume("W1", "big")]
    job = site.apply("big", site.namespace, volumes, worker, retry={"limit": 1})
    assert counts(job.wait_complete(5 * MINUTES)) == {"total": 1, "succeeded": 1}


def exec_pod(script: str, **container: object) -> Body:
    command = ["bec-worker", "exec", "--grace=5", "--", "bash", "-c", script]
    return worker_pod(command, grace=30, **container)


def prefix(site: Site, name: str) -> str:
    return f"artefacts/{escape(site.namespace)}/W1-{name}/"


def artefact(site: Site, name: str) -> bytes:
    volume, _, file = name.partition("/")
    found = site.store.get(site.bucket, prefix(site, volume) + file)
    assert found is not None
    return found
