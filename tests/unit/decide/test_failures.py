"""When a task gets no further attempt."""

import pytest

from bec_operator.decide.attempts.retrying import MAX_DISRUPTIONS, Budget, is_final
from bec_operator.decide.sight.failures import FailureClass, class_of, failure_of_start

RETRYABLE, TERMINAL = FailureClass.RETRYABLE, FailureClass.TERMINAL
DISRUPTED, MISSING = FailureClass.DISRUPTED, FailureClass.MARKER_MISSING


@pytest.mark.parametrize(
    ("failures", "limit", "final"),
    [
        ([], 1, False),
        ([RETRYABLE], 1, True),
        ([RETRYABLE], 2, False),
        ([RETRYABLE, MISSING], 2, True),
        ([TERMINAL], 9, True),
        ([DISRUPTED], 1, False),
        ([DISRUPTED, RETRYABLE], 2, False),
        ([DISRUPTED] * (MAX_DISRUPTIONS - 1), 1, False),
        ([DISRUPTED] * MAX_DISRUPTIONS, 1, True),
    ],
)
def test_budget(failures: list[FailureClass], limit: int, *, final: bool) -> None:
    assert is_final(failures, Budget(limit)) is final


@pytest.mark.parametrize("failure", list(FailureClass))
def test_a_class_is_found_by_the_name_that_people_see(failure: FailureClass) -> None:
    assert class_of(failure.label) is failure


def test_a_class_of_another_version_can_be_retried() -> None:
    assert class_of("Unheard") is RETRYABLE


@pytest.mark.parametrize(
    "said",
    [
        "nvidia-container-cli: load library failed: libnvidia-ml.so.1: no such file or directory",
        "failed to inject CDI devices: stat failed on /dev/nvidia3: no such file or directory",
        "open /run/k3s/containerd/state: no such file or directory",
        'error running hook #0: exec: "a-hook": executable file not found in $PATH',
        "fork/exec /usr/bin/runc: no such file or directory",
        "no space left on device",
    ],
)
def test_what_a_node_lacks_is_no_fault_of_the_template(said: str) -> None:
    assert failure_of_start(said) is FailureClass.RUNTIME_TROUBLE
