"""What a real kubelet makes of a pod, and what the attempt is called: one Job a row of the table.

All Jobs are there at once, and each test looks at its own. A volume has one attempt, if nothing
else is said: what has failed has counted, and what was tried again has not.
"""

from dataclasses import dataclass, field

import pytest

from tests.e2e.plain import MINUTES, before, begin, failures, last_failed, log_of, shell
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import LiveJob, counts
from tests.support.kube import Body

NEVER = shell("exit 1")  # a worker whose turn does not come
SOON: Body = {"start": "10s"}


MORE = {"volumeMounts": [{"name": "more", "mountPath": "/more"}]}


def with_volume(pod: Body, volume: Body) -> Body:
    """Return the spec of a pod whose worker has a volume `more`, at /more."""
    (worker,) = pod["containers"]
    return {**pod, "containers": [{**worker, **MORE}], "volumes": [{"name": "more", **volume}]}


@dataclass(frozen=True)
class Row:
    """A pod, the class of its only attempt, and words of its message, or of its log."""

    pod: Body
    failure: str
    said: tuple[str, ...]
    code: int | None = None
    log: str = ""
    limits: Body = field(default_factory=dict)


FILL = "head -c 200M /dev/zero > {}/big; sleep 120"
TAKE = "python -c 'bytearray(300_000_000)'"
LITTLE = {"resources": {"limits": {"memory": "64Mi"}}}
OVER = "activeDeadlineSeconds"
ROWS: dict[str, Row] = {
    # argo-workflows#10717, #14495; kubedirector#543
    "init-exit-1": Row(
        before(NEVER, "echo no such scan >&2; exit 1"),
        "Retryable",
        ("init container fetch: exit 1", "no such scan"),
        code=1,
        log="no such scan",
    ),
    "init-exit-65": Row(
        before(NEVER, "echo the scan is empty >&2; exit 65"),
        "Terminal",
        ("init container fetch: exit 65", "the scan is empty"),
        code=65,
        log="the scan is empty",
        limits={"retry": {"limit": 3}},
    ),
    "init-out-of-memory": Row(
        before(NEVER, f"echo here; {TAKE}; exit $?", **LITTLE),
        "OutOfMemory",
        ("init container fetch: killed for its memory",),
        code=137,
        log="here",
    ),
    # kubernetes#93649, studio PR#7011
    "ephemeral-storage": Row(
        shell(
            FILL.format("$BEC_WORK_DIR"), resources={"limits": {"ephemeral-storage": "50Mi"}}
        ),
        "StorageExceeded",
        ("exceeds the total limit of containers 50Mi",),
    ),
    "size-limit": Row(
        with_volume(shell(FILL.format("/more")), {"emptyDir": {"sizeLimit": "50Mi"}}),
        "StorageExceeded",
        ('"more" exceeds the limit "50Mi"',),
    ),
    # argo-workflows#3244, armada PR#3122
    "deadline": Row(
        {**shell("echo here; sleep 120"), "activeDeadlineSeconds": 8},
        "TooLong",
        (OVER,),
        log="here",
        limits={"retry": {"limit": 3, "onTimeout": "Fail"}},
    ),
    "deadline-heeded": Row(
        {**worker_pod(["bec-worker", "exec", "--", "sleep", "120"]), "activeDeadlineSeconds": 12},
        "TooLong",
        (OVER,),
    ),
    "deadline-in-init": Row(
        {**before(NEVER, "sleep 120"), "activeDeadlineSeconds": 8},
        "TooLong",
        (OVER,),
    ),
    # argo-workflows#941, flyte#1234, #6786
    "no-permission": Row(
        worker_pod(["/etc/passwd"]),
        "ContainerConfig",
        ("its command cannot be run", "permission denied"),
        limits={"retry": {"limit": 3}},
    ),
    "no-program": Row(
        before(
            with_volume(worker_pod(["/more/no-program"]), {"emptyDir": {}}),
            "echo words > /more/no-program; chmod 755 /more/no-program",
            **MORE,
        ),
        "ContainerConfig",
        ("its command cannot be run", "exec format error"),
        limits={"retry": {"limit": 3}},
    ),
    "init-no-command": Row(
        before(NEVER, "", command=["/no/such/program"]),
        "ContainerConfig",
        ("init container fetch", "/no/such/program"),
        limits={"retry": {"limit": 3}},
    ),
    # tekton#5116
    "no-secret": Row(
        with_volume(shell("true"), {"secret": {"secretName": "not-there"}}),
        "StartTimeout",
        ("FailedMount", 'secret "not-there" not found'),
        limits={"timeouts": SOON},
    ),
    "no-config-map": Row(
        with_volume(shell("true"), {"configMap": {"name": "not-there"}}),
        "StartTimeout",
        ("FailedMount", 'configmap "not-there" not found'),
        limits={"timeouts": SOON},
    ),
    "exit-64": Row(shell("echo usage: scan FILE; exit 64"), "Retryable", ("exit 64",), code=64),
    "exit-143": Row(
        shell("sh -c 'kill $$$$'; exit $?"), "Retryable", ("exit 143", "Terminated"), code=143
    ),
    "exit-137": Row(
        shell("sh -c 'kill -9 $$$$'; exit $?"), "Retryable", ("exit 137", "Killed"), code=137
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def jobs(shared_site: Site) -> dict[str, LiveJob]:
    """One Job a row."""
    return {name: begin(shared_site, name, row.pod, **row.limits) for name, row in ROWS.items()}


@pytest.mark.parametrize("name", ROWS)
def test_each_is_called_by_its_name(shared_site: Site, jobs: dict[str, LiveJob], name: str) -> None:
    row, job = ROWS[name], jobs[name]
    ended = job.wait_phase("Complete", timeout=4 * MINUTES)
    assert counts(ended) == {"total": 1, "failed": 1}
    assert failures(shared_site, job) == [row.failure]
    attempt = last_failed(shared_site, job)
    assert all(words in attempt["message"] for words in row.said), attempt["message"]
    assert row.code is None or attempt["exitCode"] == row.code
    if row.log:
        assert row.log in log_of(shared_site, attempt)
