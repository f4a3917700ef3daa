"""What does each action, and what it has to wait for: a lane, in which so many are done at once."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.act.kube.job_status import write_status
from bec_operator.act.kube.kubelet import ask_kubelet
from bec_operator.act.kube.nodes import check_node
from bec_operator.act.kube.pods import (
    create_pod,
    delete_pod,
    delete_pods,
    record_heartbeat,
    stop_pod,
)
from bec_operator.act.kube.tasks import create_task, delete_tasks, record_task
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
from bec_operator.act.storage.growth import look_at_list
from bec_operator.act.storage.ledger import save_ledger
from bec_operator.act.storage.manifest import load_manifest
from bec_operator.act.storage.markers import read_marker
from bec_operator.act.storage.report import compile_report
from bec_operator.act.storage.storage_check import check_storage
from bec_operator.act.storage.sweep import sweep
from bec_operator.act.telling.telling import tell_failures, tell_idle
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


DOINGS: dict[type[Action], tuple[Doing, Lane]] = {
    volumes.CheckStorage: (lambda ctx, memory, _: check_storage(ctx, memory), Lane.FREE),
    volumes.LoadManifest: (lambda ctx, memory, _: load_manifest(ctx, memory), Lane.LIST),
    volumes.LookAtList: (lambda ctx, memory, _: look_at_list(ctx, memory), Lane.LIST),
    jobs.CheckTemplate: (lambda ctx, memory, _: check_template(ctx, memory), Lane.WRITE),
    volumes.CompareOutputs: (compare_outputs, Lane.LIST),
    volumes.Sweep: (lambda ctx, memory, _: sweep(ctx, memory), Lane.LIST),
    volumes.SweepGate: (sweep_gate, Lane.GATE),
    volumes.LoadEnded: (lambda ctx, memory, _: load_ended(ctx, memory), Lane.LIST),
    volumes.ReadMarker: (read_marker, Lane.FREE),
    attempts.CreateTask: (create_task, Lane.WRITE),
    attempts.CreatePod: (create_pod, Lane.WRITE),
    attempts.HandTask: (hand_task, Lane.WRITE),
    hosts.MakePool: (make_pool, Lane.WRITE),
    hosts.ScalePool: (scale_pool, Lane.WRITE),
    hosts.DeletePool: (lambda ctx, _, action: delete_pool(ctx, action), Lane.WRITE),
    hosts.MarkWorker: (lambda ctx, _, action: mark_worker(ctx, action), Lane.WRITE),
    hosts.GuardWorker: (lambda ctx, _, action: guard_worker(ctx, action), Lane.WRITE),
    attempts.RecordTask: (record_task, Lane.WRITE),
    attempts.RecordHeartbeat: (record_heartbeat, Lane.WRITE),
    attempts.StopPod: (stop_pod, Lane.WRITE),
    attempts.CheckNode: (check_node, Lane.WRITE),
    attempts.AskKubelet: (ask_kubelet, Lane.WRITE),
    attempts.KeepLog: (keep_log, Lane.LOG),
    volumes.SaveLedger: (lambda ctx, memory, _: save_ledger(ctx, memory), Lane.FREE),
    volumes.CompileReport: (lambda ctx, memory, _: compile_report(ctx, memory), Lane.LIST),
    jobs.TellFailures: (tell_failures, Lane.WRITE),
    jobs.TellIdle: (tell_idle, Lane.WRITE),
    attempts.DeletePod: (lambda ctx, _, action: delete_pod(ctx, action), Lane.WRITE),
    attempts.DeletePods: (lambda ctx, _, action: delete_pods(ctx, action), Lane.WRITE),
    attempts.DeleteTasks: (lambda ctx, _, action: delete_tasks(ctx, action), Lane.WRITE),
    jobs.WriteStatus: (
        lambda ctx, memory, action: write_status(ctx, memory, action.status),
        Lane.WRITE,
    ),
}
BY_PLACE = (
    jobs.CheckTemplate,
    attempts.CreateTask,
    attempts.CreatePod,
    attempts.HandTask,
    hosts.MakePool,
    attempts.KeepLog,
    volumes.ReadMarker,
)
"""Those about a volume by its place in the manifest: under another ledger it may be another one."""
