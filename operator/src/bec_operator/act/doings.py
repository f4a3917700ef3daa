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
from bec_operator.act.storage.report_csv import compile_report
from bec_operator.act.storage.storage_check import check_storage
from bec_operator.act.storage.sweep import sweep
from bec_operator.act.telling.telling import tell_failures, tell_idle
from bec_operator.decide.attempts import actions
from bec_operator.decide.memory.memory import Memory

Doing = Callable[[Context, Memory, Any], Awaitable[None]]


class Lane(Enum):
    """What an action has to wait for. Slow S3 must not hold up a write to the API server."""

    WRITE = auto()  # requests to the API server alone
    LIST = auto()  # lists and reports, which take time and memory
    GATE = auto()  # looks for the markers of other jobs
    LOG = auto()  # logs, from the kubelets to S3
    FREE = auto()  # has a bound of its own


DOINGS: dict[type[actions.Action], tuple[Doing, Lane]] = {
    actions.CheckStorage: (lambda ctx, memory, _: check_storage(ctx, memory), Lane.FREE),
    actions.LoadManifest: (lambda ctx, memory, _: load_manifest(ctx, memory), Lane.LIST),
    actions.LookAtList: (lambda ctx, memory, _: look_at_list(ctx, memory), Lane.LIST),
    actions.CheckTemplate: (lambda ctx, memory, _: check_template(ctx, memory), Lane.WRITE),
    actions.CompareOutputs: (compare_outputs, Lane.LIST),
    actions.Sweep: (lambda ctx, memory, _: sweep(ctx, memory), Lane.LIST),
    actions.SweepGate: (sweep_gate, Lane.GATE),
    actions.LoadEnded: (lambda ctx, memory, _: load_ended(ctx, memory), Lane.LIST),
    actions.ReadMarker: (read_marker, Lane.FREE),
    actions.CreateTask: (create_task, Lane.WRITE),
    actions.CreatePod: (create_pod, Lane.WRITE),
    actions.HandTask: (hand_task, Lane.WRITE),
    actions.MakePool: (make_pool, Lane.WRITE),
    actions.ScalePool: (scale_pool, Lane.WRITE),
    actions.DeletePool: (lambda ctx, _, action: delete_pool(ctx, action), Lane.WRITE),
    actions.MarkWorker: (lambda ctx, _, action: mark_worker(ctx, action), Lane.WRITE),
    actions.GuardWorker: (lambda ctx, _, action: guard_worker(ctx, action), Lane.WRITE),
    actions.RecordTask: (record_task, Lane.WRITE),
    actions.RecordHeartbeat: (record_heartbeat, Lane.WRITE),
    actions.StopPod: (stop_pod, Lane.WRITE),
    actions.CheckNode: (check_node, Lane.WRITE),
    actions.AskKubelet: (ask_kubelet, Lane.WRITE),
    actions.KeepLog: (keep_log, Lane.LOG),
    actions.SaveLedger: (lambda ctx, memory, _: save_ledger(ctx, memory), Lane.FREE),
    actions.CompileReport: (lambda ctx, memory, _: compile_report(ctx, memory), Lane.LIST),
    actions.TellFailures: (tell_failures, Lane.WRITE),
    actions.TellIdle: (tell_idle, Lane.WRITE),
    actions.DeletePod: (lambda ctx, _, action: delete_pod(ctx, action), Lane.WRITE),
    actions.DeletePods: (lambda ctx, _, action: delete_pods(ctx, action), Lane.WRITE),
    actions.DeleteTasks: (lambda ctx, _, action: delete_tasks(ctx, action), Lane.WRITE),
    actions.WriteStatus: (
        lambda ctx, memory, action: write_status(ctx, memory, action.status),
        Lane.WRITE,
    ),
}
BY_PLACE = (
    actions.CheckTemplate,
    actions.CreateTask,
    actions.CreatePod,
    actions.HandTask,
    actions.MakePool,
    actions.KeepLog,
    actions.ReadMarker,
)
"""Those about a volume by its place in the manifest: under another ledger it may be another one."""
