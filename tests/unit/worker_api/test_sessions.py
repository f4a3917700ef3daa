"""Sessions: the same for the same process, and one a pod."""

import pytest

from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.sessions import Sessions

A, B = "a" * 32, "b" * 32


def refusal(sessions: Sessions, pod: str, session: str) -> str:
    with pytest.raises(CallRefusedError) as caught:
        sessions.check(pod, session)
    return caught.value.word


def test_registering_again_changes_nothing_whatever_was_forgotten() -> None:
    sessions = Sessions()
    session = sessions.register("pod", A)
    sessions.give("pod")
    assert sessions.register("pod", A) == session
    assert sessions.given("pod")
    assert Sessions().register("pod", A) == session


def test_pods_and_processes_have_sessions_of_their_own() -> None:
    sessions = Sessions()
    made = {sessions.register(pod, process) for pod in ("one", "two") for process in (A, B)}
    assert len(made) == 4


def test_the_latest_process_counts_and_the_one_before_cannot_come_back() -> None:
    sessions = Sessions()
    first = sessions.register("pod", A)
    sessions.give("pod")
    second = sessions.register("pod", B)
    sessions.check("pod", second)
    assert not sessions.given("pod")
    assert refusal(sessions, "pod", first) == "StaleSession"
    with pytest.raises(CallRefusedError, match="StaleSession"):
        sessions.register("pod", A)
    sessions.check("pod", second)


def test_another_pods_session_is_no_good() -> None:
    sessions = Sessions()
    other = sessions.register("other", A)
    assert refusal(sessions, "pod", other) == "UnknownSession"
    sessions.register("pod", A)
    assert refusal(sessions, "pod", other) == "StaleSession"


def test_pods_that_are_gone_are_forgotten() -> None:
    sessions = Sessions()
    session = sessions.register("kept", A)
    gone = sessions.register("gone", A)
    sessions.keep({"kept", "never seen"})
    sessions.check("kept", session)
    assert refusal(sessions, "gone", gone) == "UnknownSession"
