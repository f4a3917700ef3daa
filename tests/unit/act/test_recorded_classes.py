"""What the ends of pods are called that a real kubelet has left: the class, and the words for it.

Public reports that some of them are about: `argoproj/argo-workflows#10717`, `#14495` and
`bluek8s/kubedirector#543` (init containers), `kubernetes/kubernetes#70010`, `flyteorg/flyte#6461`
and `NVIDIA/OSMO#1036` (pods that the kubelet refuses), `kubernetes/kubernetes#93649` and
`decocms/studio#7011` (limits of its own), `argoproj/argo-workflows#3244` and
`armadaproject/armada#3122` (deadlines), `argoproj/argo-workflows#941`, `flyteorg/flyte#1234` and
`#6786` (runtimes), `argoproj/argo-workflows#11354` and `kubernetes/kubernetes#61051` (reboots).
"""

import pytest

from bec_operator.act.kube.pod_records import pod_of
from bec_operator.decide.attempts.ending import Ending, claims_misconfigured, classify
from bec_operator.decide.sight.failures import FailureClass, failure_of_waiting
from bec_operator.decide.sight.seen import MarkerSeen, MarkerState
from tests.support.recorded import NAMES, Recorded

ABSENT = MarkerSeen(MarkerState.ABSENT, 0.0)
CANNOT, NOT_STARTED = "its command cannot be run: ", "its node could not start it: "
REFUSED, DISK = "its node did not take the pod: ", "ended for what it wrote to disk: Evicted: "
OVER = "activeDeadlineSeconds of worker.template is over: "
TAKEN, DOWN = "the pod was taken away: ", "the node node-1 went down under it"

ENDS: dict[str, tuple[str, str]] = {
    # The worker's own doing
    "exit-0": ("MarkerMissing", "exit 0, but no success.json"),
    "exit-1": ("Retryable", "exit 1: page 7 is upside down"),
    "exit-64": ("Retryable", "exit 64: usage: scan FILE"),
    "exit-65": ("Terminal", "exit 65: the page images are gone"),
    "exit-75": ("Retryable", "exit 75"),
    "exit-78": ("Retryable", "exit 78: bad config"),
    "exit-137": ("Retryable", "exit 137: Killed"),
    "exit-139": ("Retryable", "exit 139: Segmentation fault"),
    "exit-143": ("Retryable", "exit 143: Terminated"),
    "beside-ended-worker": ("Retryable", "exit 1"),
    "sidecar-outlived-by-failed-worker": ("Retryable", "exit 1"),
    "liveness-probe": ("Retryable", "exit 137"),
    "liveness-probe-sigterm": ("Retryable", "exit 143"),
    "startup-probe": ("Retryable", "exit 137"),
    "post-start-hook": ("Retryable", "exit 137"),
    "containers-killed": ("Retryable", "exit 255"),
    "out-of-memory": ("OutOfMemory", "killed for its memory"),
    "out-of-memory-in-child": ("OutOfMemory", "killed for its memory"),
    "out-of-memory-in-child-exit-0": ("OutOfMemory", "killed for its memory"),
    # An init container's
    "init-exit-1": ("Retryable", "init container fetch: exit 1: no such scan"),
    "init-exit-1-no-words": ("Retryable", "init container fetch: exit 1"),
    "init-exit-65": ("Terminal", "init container fetch: exit 65: the scan is empty"),
    "init-exit-78": ("Retryable", "init container fetch: exit 78: no such bucket"),
    "init-killed": ("Retryable", "init container fetch: exit 137"),
    "init-second-fails": ("Retryable", "init container fetch: exit 1"),
    "init-out-of-memory": ("OutOfMemory", "init container fetch: killed for its memory"),
    "init-command-not-found": ("ContainerConfig", f"init container fetch: {CANNOT}"),
    # The template's
    "start-error-no-such-file": ("ContainerConfig", CANNOT),
    "start-error-not-in-path": ("ContainerConfig", CANNOT),
    "start-error-permission-denied": ("ContainerConfig", CANNOT),
    "start-error-is-a-directory": ("ContainerConfig", CANNOT),
    "start-error-working-dir": ("ContainerConfig", CANNOT),
    "start-error-exec-format": ("ContainerConfig", f"{CANNOT}exec /g/garbage: exec format error"),
    # The runtime's
    "start-error-no-space": ("RuntimeTrouble", NOT_STARTED),
    "start-error-mount": ("RuntimeTrouble", NOT_STARTED),
    # Limits of the pod's own
    "ephemeral-storage-limit": ("StorageExceeded", f"{DISK}Pod ephemeral local storage usage"),
    "ephemeral-storage-limit-in-volume": ("StorageExceeded", DISK),
    "empty-dir-size-limit": ("StorageExceeded", f'{DISK}Usage of EmptyDir volume "w" exceeds'),
    "empty-dir-size-limit-container-unknown": ("StorageExceeded", DISK),
    "deadline-in-init": ("TooLong", OVER),
    "deadline-while-pulling": ("TooLong", OVER),
    "deadline-while-running": ("TooLong", OVER),
    "deadline-while-running-sigterm": ("TooLong", OVER),
    # What a node does not take
    "out-of-cpu": ("NodeRefused", f"{REFUSED}OutOfcpu: Pod was rejected: Node didn't have"),
    "out-of-memory-on-node": ("NodeRefused", f"{REFUSED}OutOfmemory"),
    "node-affinity": ("NodeRefused", f"{REFUSED}NodeAffinity"),
    "app-armor": ("NodeRefused", f"{REFUSED}AppArmor"),
    "pod-os": ("NodeRefused", f"{REFUSED}PodOSNotSupported"),
    "sysctl-forbidden": ("NodeRefused", f"{REFUSED}SysctlForbidden"),
    "refused-under-memory-pressure": ("NodeRefused", f"{REFUSED}Evicted: Pod was rejected"),
    "unexpected-admission-error": ("NodeRefused", f"{REFUSED}UnexpectedAdmissionError"),
    "unexpected-admission-error-no-healthy-device": ("NodeRefused", REFUSED),
    "unexpected-admission-error-too-few-devices": ("NodeRefused", REFUSED),
    # Somebody else's doing
    "deleted-exit-0": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-in-init": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-killed": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-pre-stop": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-sigterm": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-while-pulling": ("Disrupted", f"{TAKEN}deleted"),
    "deleted-with-sidecar": ("Disrupted", f"{TAKEN}deleted"),
    "evicted-by-api": ("Disrupted", f"{TAKEN}EvictionByEvictionAPI: Eviction API: evicting"),
    "preempted": ("Disrupted", f"{TAKEN}PreemptionByScheduler"),
    "node-pressure": ("Disrupted", f"{TAKEN}Evicted: The node was low on resource: memory"),
    "node-storage-pressure": ("Disrupted", f"{TAKEN}Evicted: The node was low on resource"),
    "kubelet-restarted-under-disk-pressure": ("Disrupted", f"{TAKEN}Evicted: Pod was rejected"),
    "kubelet-restarted-under-memory-pressure": ("Disrupted", f"{TAKEN}Evicted: Pod was rejected"),
    "kubelet-restarted-under-memory-pressure-in-init": ("Disrupted", f"{TAKEN}Evicted"),
    "node-affinity-after-kubelet-restart": ("Disrupted", f"{TAKEN}NodeAffinity"),
    "node-rebooted": ("Disrupted", DOWN),
    "node-rebooted-in-init": ("Disrupted", DOWN),
    "node-rebooted-with-sidecar": ("Disrupted", DOWN),
    "container-status-unknown": ("Disrupted", f"{DOWN}: The container could not be located"),
    "shims-killed-containerd-restarted": ("Disrupted", DOWN),
    "tainted": ("NodeLost", "the node node-1 is lost: Taint manager"),
    "pod-of-gone-node": ("NodeLost", "the node gone is lost: PodGC: node no longer exists"),
    "unschedulable-then-bound": ("MarkerMissing", "exit 0"),
}
"""Each recording of a pod that has ended."""

WAITING: dict[str, FailureClass] = {
    "create-container-error-no-space": FailureClass.RUNTIME_TROUBLE,
    "failed-to-reserve-name": FailureClass.RUNTIME_TROUBLE,
    "err-image-never-pull": FailureClass.IMAGE_PULL,
    "err-image-pull": FailureClass.IMAGE_PULL,
    "image-denied": FailureClass.IMAGE_PULL,
    "image-not-found": FailureClass.IMAGE_PULL,
    "image-pull-back-off": FailureClass.IMAGE_PULL,
    "image-registry-unavailable": FailureClass.IMAGE_PULL,
    "image-too-many-requests": FailureClass.IMAGE_PULL,
    "image-unauthorized": FailureClass.IMAGE_PULL,
    "image-unknown-host": FailureClass.IMAGE_PULL,
    "init-image-pull": FailureClass.IMAGE_PULL,
    "invalid-image-name": FailureClass.IMAGE_PULL,
    "missing-key-in-env": FailureClass.CONTAINER_CONFIG,
    "missing-secret-in-env": FailureClass.CONTAINER_CONFIG,
    "runs-as-root": FailureClass.CONTAINER_CONFIG,
}
"""Each recording of a pod of which a container cannot start; all others just take their time."""


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_class(name: str) -> None:
    pod = pod_of(Recorded.read(name).pod, None, 1.0)
    if not pod.worker_ended:
        assert name not in ENDS
        return
    failure, message = classify(Ending(pod, ABSENT))
    label, said = ENDS[name]
    assert (failure.label, message[: len(said)]) == (label, said)


@pytest.mark.parametrize("name", NAMES)
def test_only_what_a_kubelet_says_is_a_trouble(name: str) -> None:
    pod = pod_of(Recorded.read(name).pod, None, 1.0)
    trouble = failure_of_waiting(pod.waiting, pod.waiting_message)
    assert trouble is (WAITING.get(name) if not pod.worker_ended else None)


@pytest.mark.parametrize("name", ["exit-64", "exit-78", "init-exit-78"])
def test_a_code_alone_only_claims_that_the_job_is_set_up_wrongly(name: str) -> None:
    pod = pod_of(Recorded.read(name).pod, None, 1.0)
    assert claims_misconfigured(pod, FailureClass.RETRYABLE)


def test_what_keeps_a_pod_from_a_node() -> None:
    """skypilot-org/skypilot#10252, tektoncd/pipeline#4078."""
    gated = pod_of(Recorded.read("scheduling-gated").pod, None, 1.0)
    assert (gated.gated, gated.unschedulable, gated.seen_placed) == ("example.org/wait", "", None)
    lifted = pod_of(Recorded.read("gates-lifted").pod, gated, 9.0)
    assert (lifted.gated, lifted.seen_first, lifted.seen_free, lifted.seen_placed) == ("", 9, 9, 9)
    homeless = pod_of(Recorded.read("unschedulable-cordoned").pod, None, 1.0)
    assert "1 node(s) were unschedulable" in homeless.unschedulable


@pytest.mark.parametrize("name", NAMES)
def test_only_what_nobody_goes_on_with_is_stranded(name: str) -> None:
    pod = pod_of(Recorded.read(name).pod, None, 1.0)
    assert pod.stranded is (name == "node-rebooted-after-init")


def test_a_sidecar_is_not_what_a_pod_has_failed_for() -> None:
    pod = Recorded.read("init-exit-65").pod
    killed = {"name": "proxy", "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}
    pod["status"]["initContainerStatuses"].insert(0, killed)
    pod["spec"]["initContainers"].insert(0, {"name": "proxy", "restartPolicy": "Always"})
    seen = pod_of(pod, None, 1.0)
    assert (seen.ended_in, seen.exit_code) == ("fetch", 65)


def test_another_trouble_has_its_own_time() -> None:
    first = pod_of(Recorded.read("image-pull-back-off").pod, None, 10.0)
    again = {
        **Recorded.read("err-image-pull").pod,
        "metadata": Recorded.read("image-pull-back-off").pod["metadata"],
    }
    same = pod_of(again, first, 50.0)
    assert same.seen_troubled == 10.0
    other = {**Recorded.read("missing-secret-in-env").pod, "metadata": again["metadata"]}
    assert pod_of(other, same, 90.0).seen_troubled == 90.0
