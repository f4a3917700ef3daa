"""The failure classes: what an attempt that did not succeed is called, and what follows."""

import re
from dataclasses import dataclass
from enum import IntEnum

from bec_ops.contract.exit_codes import ExitCode


class FailureClass(IntEnum):
    """Why an attempt ended without a valid marker. The number is its code in the ledger."""

    RETRYABLE = 1
    TERMINAL = 2
    MARKER_MISSING = 3
    OUT_OF_MEMORY = 4
    DISRUPTED = 5
    INTERRUPTED = 6
    SILENT = 7
    STUCK = 8
    TOO_LONG = 9
    MISCONFIGURED = 10
    NODE_LOST = 11
    IMAGE_PULL = 12
    CONTAINER_CONFIG = 13
    UNSCHEDULABLE = 14
    START_TIMEOUT = 15
    STOPPED = 16
    DEPENDENCY_FAILED = 17
    NODE_REFUSED = 18
    RUNTIME_TROUBLE = 19
    STORAGE_EXCEEDED = 20
    BAD_HOST = 24
    OUTPUT_IMPOSSIBLE = 25
    VERSION_MISSING = 26
    DOUBLE = 27

    @property
    def label(self) -> str:
        """The name that people see."""
        return "".join(part.capitalize() for part in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a failure class."""

    final: bool = False  # no further attempt
    free: bool = False  # takes nothing from retry.limit
    capped: bool = False  # and yet does not happen for ever
    at_once: bool = False  # the next attempt does not wait for retry.backoff
    spared: bool = False  # the first of a row does not either, and is no sign of a fault
    timed_out: bool = False  # retry.onTimeout says whether there is a next one
    of_node: bool = True  # the node may be why: the next attempt rather goes elsewhere
    meaning: str = ""


RULES: dict[FailureClass, Rule] = {
    FailureClass.RETRYABLE: Rule(meaning="the worker ended with an error"),
    FailureClass.TERMINAL: Rule(
        final=True, of_node=False, meaning="the worker says that no retry can help"
    ),
    FailureClass.MARKER_MISSING: Rule(
        of_node=False, meaning="the worker ended well but left no valid marker"
    ),
    FailureClass.OUT_OF_MEMORY: Rule(meaning="the container was killed for its memory"),
    FailureClass.DISRUPTED: Rule(
        free=True, capped=True, spared=True, meaning="the pod was taken away"
    ),
    FailureClass.INTERRUPTED: Rule(
        free=True, capped=True, spared=True, meaning="the worker was told to stop, and stopped"
    ),
    FailureClass.SILENT: Rule(timed_out=True, meaning="no sign of life for timeouts.heartbeat"),
    FailureClass.STUCK: Rule(
        timed_out=True, meaning="signs of life, but no progress for timeouts.progress"
    ),
    FailureClass.TOO_LONG: Rule(timed_out=True, meaning="it ran longer than timeouts.task"),
    FailureClass.MISCONFIGURED: Rule(
        free=True,
        at_once=True,
        of_node=False,
        meaning="the worker says that the job is set up wrongly: nothing is launched",
    ),
    FailureClass.NODE_LOST: Rule(
        free=True, capped=True, spared=True, meaning="the node of the pod is gone, or silent"
    ),
    FailureClass.IMAGE_PULL: Rule(free=True, meaning="the image could not be had for 5 minutes"),
    FailureClass.CONTAINER_CONFIG: Rule(
        final=True, of_node=False, meaning="the container could not be made for 5 minutes"
    ),
    FailureClass.UNSCHEDULABLE: Rule(
        free=True, meaning="no node had room for the pod for timeouts.node"
    ),
    FailureClass.START_TIMEOUT: Rule(
        timed_out=True, meaning="the worker did not start within timeouts.start"
    ),
    FailureClass.STOPPED: Rule(
        free=True,
        at_once=True,
        of_node=False,
        meaning="we stopped it: the job was suspended, or is done anew",
    ),
    FailureClass.DEPENDENCY_FAILED: Rule(
        final=True, meaning="a job that it depends on has failed for this volume"
    ),
    FailureClass.NODE_REFUSED: Rule(free=True, meaning="the node did not take the pod"),
    FailureClass.RUNTIME_TROUBLE: Rule(
        meaning="the container runtime of the node could not make or start the container"
    ),
    FailureClass.STORAGE_EXCEEDED: Rule(
        of_node=False, meaning="it wrote more to disk than its own limits allow"
    ),
    FailureClass.BAD_HOST: Rule(
        free=True,
        at_once=True,
        meaning="its worker or node is, or may be, at fault: another one tries it",
    ),
    FailureClass.OUTPUT_IMPOSSIBLE: Rule(
        final=True, of_node=False, meaning="the store cannot hold its output"
    ),
    FailureClass.VERSION_MISSING: Rule(
        final=True, of_node=False, meaning="no version was found for it, so it was not tried"
    ),
    FailureClass.DOUBLE: Rule(
        final=True, of_node=False, meaning="it is another volume of the list, of the same version"
    ),
}

EXIT_CLASSES: dict[int, FailureClass] = {
    ExitCode.TERMINAL: FailureClass.TERMINAL,
    ExitCode.RETRYABLE: FailureClass.RETRYABLE,
}
"""What an exit code says, whatever the worker has told besides."""

CLAIMS = {int(ExitCode.USAGE), int(ExitCode.MISCONFIGURED)}
"""Exit codes that say that the job is set up wrongly.

Any tool may end with one and mean something else, so they are believed where the worker tells it
besides, or where several volumes end so.
"""

START_TROUBLES: dict[str, FailureClass] = {
    **dict.fromkeys(
        (
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "ImageInspectError",
            "RegistryUnavailable",
            "SignatureValidationFailed",
        ),
        FailureClass.IMAGE_PULL,
    ),
    "CreateContainerConfigError": FailureClass.CONTAINER_CONFIG,
    **dict.fromkeys(
        ("CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError"),
        FailureClass.RUNTIME_TROUBLE,
    ),
}
"""What a container that waits for its start is waiting for, as the kubelet calls it."""

# What runc and crun say of the command itself: of hooks, devices and mounts they say the like.
_OF_TEMPLATE = re.compile(
    r"""exec:\ "[^"]*":.*(no\ such\ file|permission\ denied|not\ found|\ba?\ directory)
    | (?<!/)exec\ \S+:\ (no\ such\ file|permission\ denied|exec\ format\ error)
    | executable\ file\ .*\ not\ found
    | chdir\ to\ cwd | container\ init:\ mkdir\ \S+:\ not\ a\ directory
    | no\ command\ specified""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_HOOK = re.compile(r"\bhook\b|fork/exec", re.IGNORECASE)


def failure_of_start(said: str) -> FailureClass:
    """Return whose fault it is that a container cannot be started, by what the runtime says.

    Only what names the command as the cause is the template's: all else may be a node that is
    full, or whose devices are not there, or a runtime that is in trouble.
    """
    if _OF_TEMPLATE.search(said) and not _OF_HOOK.search(said):
        return FailureClass.CONTAINER_CONFIG
    return FailureClass.RUNTIME_TROUBLE


def failure_of_waiting(reason: str, said: str) -> FailureClass | None:
    """Return what it is if a container goes on waiting for `reason`; None for what is no trouble.

    The reason is the kubelet's, and so is what is said of it.
    """
    failure = START_TROUBLES.get(reason)
    return failure_of_start(said) if failure is FailureClass.RUNTIME_TROUBLE else failure


def class_of(label: str) -> FailureClass:
    """Return the class that `label` names; one that this version does not know is retryable."""
    return _BY_LABEL.get(label, FailureClass.RETRYABLE)


_BY_LABEL = {member.label: member for member in FailureClass}
