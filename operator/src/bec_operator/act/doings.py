"""What does each action, and what it has to wait for: a lane, in which so many are done at once."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.act.kube.job_status import write_status
from bec_operator.act.kube.kubelet import ask_kubelet
from bec_operator.act.kube.nodes import check_node
from bec_operator.act.kube.pods import (
    delete_pod,
    delete_pods,
    record_heartbeat,
    stop_pod,
)
from bec_operator.act.kube.tasks import begin_in_pod, create_task, delete_tasks, record_task
from bec_operator.act.kube.template_check import check_template
from bec_operator.act.pool.pool import (
    delete_pool,
    guard_worker,
    hand_task,
    make_pool,
    mark_worker,
    scale_pool,
)
from bec_operator.act.storage.attempt_log import keep_log
from bec_operator.act.storage.comparing import compare_outputs
from bec_operator.act.storage.gates import load_ended, sweep_gate
from bec_operator.act.storage.markers import read_marker
from bec_operator.act.storage.report_csv import compile_report
from bec_operator.act.storage.save_results import save_ledger
from bec_operator.act.storage.storage_check import check_storage
from bec_operator.act.storage.sweep import sweep
from bec_operator.act.telling.results import deliver_results
from bec_operator.act.telling.telling import tell_failures, tell_idle
from bec_operator.act.volumes.followed_versions import follow_versions
from bec_operator.act.volumes.growth import look_at_list
from bec_operator.act.volumes.held_messages import tend_messages
from bec_operator.act.volumes.manifest import load_manifest
from bec_operator.act.volumes.messages import delete_messages, take_messages
from bec_operator.act.volumes.versions import find_versions
from bec_operator.decide.attempts import actions as attempts
from bec_operator.decide.hosts import actions as hosts
from bec_operator.decide.jobs import actions as jobs
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes import actions as volumes

Doing = Callable[[Context, Memory, Any], Awaitable[None]]


class Lane(Enum):
    """What an action has to wait for. Slow S3 must not hold up a write to the API server."""

    WRITE = auto()  # requests to the API server alone
    LIST = auto()  # lists and reports, which take time and memory
    GATE = auto()  # looks for the markers of other jobs
    LOG = auto()  # logs, from the kubelets to S3
    FREE = auto()  # has a bound of its own


def _of_job(do: Callable[[Context, Memory], Awaitable[None]]) -> Doing:
    """Return what is done about the job as a whole: the action says no more than that."""
    return lambda ctx, memory, _: do(ctx, memory)


def _of_cluster(do: Callable[[Context, Any], Awaitable[None]]) -> Doing:
    """Return what is done in the cluster, of which nothing need be remembered."""
    return lambda ctx, _, action: do(ctx, action)


_ABOUT_VOLUMES: dict[type[Action], tuple[Doing, Lane]] = {
    volumes.CheckStorage: (_of_job(check_storage), Lane.FREE),
    volumes.LoadManifest: (_of_job(load_manifest), Lane.LIST),
    volumes.LookAtList: (_of_job(look_at_list), Lane.LIST),
    volumes.TakeMessages: (take_messages, Lane.FREE),
    volumes.DeleteMessages: (delete_messages, Lane.FREE),
    volumes.TendMessages: (tend_messages, Lane.FREE),
    volumes.FindVersions: (find_versions, Lane.FREE),
    volumes.FollowVersions: (follow_versions, Lane.FREE),
    volumes.CompareOutputs: (compare_outputs, Lane.LIST),
    volumes.Sweep: (_of_job(sweep), Lane.LIST),
    volumes.ReadMarker: (read_marker, Lane.FREE),
    volumes.SweepGate: (sweep_gate, Lane.GATE),
    volumes.LoadEnded: (_of_job(load_ended), Lane.LIST),
    volumes.SaveLedger: (_of_job(save_ledger), Lane.FREE),
    volumes.CompileReport: (_of_job(compile_report), Lane.LIST),
}
_ABOUT_ATTEMPTS: dict[type[Action], Doing] = {
    attempts.CreateTask: create_task,
    attempts.CreatePod: begin_in_pod,
    attempts.HandTask: hand_task,
    attempts.RecordTask: record_task,
    attempts.RecordHeartbeat: record_heartbeat,
    attempts.StopPod: stop_pod,
    attempts.CheckNode: check_node,
    attempts.AskKubelet: ask_kubelet,
    attempts.DeletePod: _of_cluster(delete_pod),
    attempts.DeletePods: _of_cluster(delete_pods),
    attempts.DeleteTasks: _of_cluster(delete_tasks),
}
_ABOUT_POOL: dict[type[Action], Doing] = {
    hosts.MakePool: make_pool,
    hosts.ScalePool: scale_pool,
    hosts.DeletePool: _of_cluster(delete_pool),
    hosts.MarkWorker: _of_cluster(mark_worker),
    hosts.GuardWorker: _of_cluster(guard_worker),
}
_ABOUT_JOB: dict[type[Action], Doing] = {
    jobs.CheckTemplate: _of_job(check_template),
    jobs.TellFailures: tell_failures,
    jobs.TellIdle: tell_idle,
    jobs.WriteStatus: write_status,
}
DOINGS: dict[type[Action], tuple[Doing, Lane]] = {
    **_ABOUT_VOLUMES,
    **{k: (do, Lane.WRITE) for k, do in (_ABOUT_ATTEMPTS | _ABOUT_POOL | _ABOUT_JOB).items()},
    attempts.KeepLog: (keep_log, Lane.LOG),
    jobs.DeliverResults: (deliver_results, Lane.FREE),
}
"""What is not of volumes is written to the API server alone, but for logs."""


def lane_of(memory: Memory, action: Action) -> Lane:
    """Return what an action has to wait for.

    A database may give no answer for a minute, and a walk through folders takes as long: both have
    bounds of their own, and are to hold up nobody else's lists.
    """
    spec = memory.job.spec
    reads = isinstance(action, volumes.LoadManifest | volumes.LookAtList)
    source = spec.volumes if reads and spec is not None else None
    if source is not None and (source.sql is not None or source.s3 is not None):
        return Lane.FREE
    return DOINGS[type(action)][1]


BY_PLACE = (
    jobs.CheckTemplate,
    attempts.CreateTask,
    attempts.CreatePod,
    attempts.HandTask,
    hosts.MakePool,
    attempts.KeepLog,
    volumes.ReadMarker,
    volumes.FindVersions,
    volumes.FollowVersions,
)
"""Those about a volume by its place in the manifest: under another ledger it may be another one."""
