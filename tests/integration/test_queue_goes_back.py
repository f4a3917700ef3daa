"""A queue that a Job shares with others: when the messages that it holds go back.

What is asked here of the servers, `test_queue_done.py` asks of both.
"""

from collections.abc import Iterator

import pytest

from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.volume import Volume
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, for_volumes, hang, in_turn
from tests.support.connections import Mounted
from tests.support.jobs import condition, counts, is_true, job
from tests.support.kube import Body, KubeError
from tests.support.operator_process import Operator
from tests.support.queues import Sqs, serving
from tests.support.space import Space
from tests.support.volume_messages import (
    left,
    send,
    shared,
    source,
    take,
    wait_empty,
    waits,
)
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

SIX = [Volume("W22084", f"I088{number}") for number in range(6)]
SHORT = "10s"  # for which a message is held, each time
LATER: Body = {"limit": 3, "backoff": {"initial": "10m", "max": "10m"}}


@pytest.fixture(scope="module")
def sqs() -> Iterator[Sqs]:
    with serving("elasticmq") as server:
        yield server


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory, sqs: Sqs) -> Mounted:
    made = Mounted(tmp_path_factory.mktemp("connections"), queues={"kind": "sqs"})
    made.put("queues", **sqs.secret())
    return made


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, mounted: Mounted) -> Iterator[Operator]:
    with make_operator(list_every=1.0, **mounted.settings) as operator:
        yield operator


def test_an_operator_that_was_killed_finds_its_messages_again(
    space: Space, workers: Workers, sqs: Sqs, operator: Operator
) -> None:
    """With no slot free it takes none, so what it has received is not given to the dead process."""
    url = sqs.make_queue()
    workers.behaviour = hang
    send(sqs, url, SIX[:1])
    live = space.submit(shared(space, url, parallelism=1, volumes={"visibility": SHORT}))
    workers.running(1)

    operator.kill()
    until(lambda: left(sqs, url) == (1, 0), "the message is there for others")
    operator.start()
    live.patch(parallelism=2)
    until(lambda: left(sqs, url) == (0, 1), "it is held again", timeout=30)
    workers.release()

    live.wait_counts(total=1, succeeded=1)
    wait_empty(sqs, url)
    workers.runs.check_each_ran_once(1)


@pytest.mark.usefixtures("operator")
def test_what_waits_goes_back_while_the_job_is_suspended(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    """Of two volumes one runs, and one waits for its next attempt; others do that meanwhile."""
    url = sqs.make_queue()
    workers.behaviour = for_volumes([SIX[0].i_id], hang, in_turn(fail(ExitCode.RETRYABLE), hang))
    send(sqs, url, SIX[:2])
    live = space.submit(shared(space, url, parallelism=2, retry=LATER))
    live.wait_counts(running=1, retrying=1)
    throughout(1.0, lambda: left(sqs, url) == (0, 2), "both are held")

    live.patch(suspend=True)
    until(lambda: left(sqs, url) == (1, 1), "one is there for others")
    theirs, receipt = take(sqs, url)
    assert theirs == SIX[1].i_id
    (failed,) = [run for run in workers.runs.all() if run.pod.task.i_id == theirs]
    failed.pod.put_marker()
    sqs.client().delete_message(QueueUrl=url, ReceiptHandle=receipt)
    live.patch(suspend=False, retry={"backoff": {"initial": "1s", "max": "1s"}})
    workers.release()

    live.wait_counts(total=2, succeeded=2)
    wait_empty(sqs, url)
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("end", ["hopeless", "deleted"])
def test_at_the_end_of_the_job_its_messages_go_back(
    space: Space, workers: Workers, sqs: Sqs, end: str
) -> None:
    url = sqs.make_queue()
    workers.behaviour = fail(ExitCode.RETRYABLE)
    send(sqs, url, SIX[:3])
    live = space.submit(shared(space, url, parallelism=3, retry=LATER))
    live.wait_counts(retrying=3)
    throughout(1.0, lambda: left(sqs, url) == (0, 3), "all are held")

    if end == "deleted":
        live.delete()
        until(lambda: left(sqs, url) == (3, 0), "all are there for others")
        return
    workers.behaviour = fail(ExitCode.TERMINAL)
    live.patch(maxFailed=0, parallelism=4)
    send(sqs, url, SIX[3:4])
    live.wait_phase("Failed")
    assert left(sqs, url) == (3, 1), "that of the one that failed is left to its time"


@pytest.mark.usefixtures("operator")
def test_a_queue_that_does_not_extend_is_told_of_until_it_does(
    space: Space, workers: Workers, sqs: Sqs, mounted: Mounted
) -> None:
    url = sqs.make_queue()
    workers.behaviour = hang
    send(sqs, url, SIX[:1])
    live = space.submit(shared(space, url, parallelism=1, volumes={"visibility": SHORT}))
    workers.running(1)

    mounted.put("queues")
    assert "Secret" in live.wait_stalled("ConnectionUnavailable")
    mounted.put("queues", **sqs.secret())
    live.patch(parallelism=2)  # its time may be up by now, so it may come again
    live.wait_ready(timeout=30)

    workers.release()
    live.wait_counts(total=1, succeeded=1)
    wait_empty(sqs, url)
    workers.runs.check_each_ran_once(1)


@pytest.mark.usefixtures("operator")
def test_a_message_that_others_have_keeps_a_job_from_its_end(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    url = sqs.make_queue()
    send(sqs, url, SIX[:1])
    _, receipt = take(sqs, url)
    live = space.submit(shared(space, url, volumes={"until": "Empty"}))
    live.wait(waits, "it waits for messages")
    send(sqs, url, SIX[1:3])
    live.wait_counts(total=2, succeeded=2)
    throughout(3.0, lambda: not is_true(live.read(), "Complete"), "others may give it back")

    sqs.client().delete_message(QueueUrl=url, ReceiptHandle=receipt)

    assert counts(live.wait_complete(timeout=60)) == {"total": 2, "succeeded": 2}
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("workers")
def test_how_messages_are_held_cannot_be_changed(space: Space, sqs: Sqs) -> None:
    url = sqs.make_queue()
    live = space.submit(shared(space, url, suspend=True))
    with pytest.raises(KubeError, match="ack cannot be changed"):
        live.patch(volumes={"queue": {"ack": "Stored"}})
    for visibility in ("9s", "31m"):
        with pytest.raises(KubeError, match="from 10s to 30m"):
            live.patch(volumes={"queue": {"visibility": visibility}})
    with pytest.raises(KubeError, match="only for ack: Done"):
        space.submit(job("texts", space.bucket, source(url, visibility="1m")))
    assert condition(live.read(), "Ready")["status"] in {"False", "Unknown"}
