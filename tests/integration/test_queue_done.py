"""A queue that a Job shares with others: each message is held until its volume is done."""

from collections.abc import Iterator

import pytest

from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.volume import Volume
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, hang, succeed
from tests.support.connections import Mounted
from tests.support.jobs import job
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.queues import SERVERS, Sqs, serving
from tests.support.space import Space
from tests.support.volume_messages import (
    left,
    queue_with_dead_letters,
    send,
    shared,
    source,
    take,
    wait_empty,
)
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

SIX = [Volume("W22084", f"I088{number}") for number in range(6)]
SHORT = "10s"  # for which a message is held, each time
LATER: Body = {"limit": 3, "backoff": {"initial": "10m", "max": "10m"}}


@pytest.fixture(scope="module", params=SERVERS)
def sqs(request: pytest.FixtureRequest) -> Iterator[Sqs]:
    with serving(request.param) as server:
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


@pytest.mark.usefixtures("operator")
def test_no_more_is_taken_than_can_start(space: Space, workers: Workers, sqs: Sqs) -> None:
    url = sqs.make_queue()
    workers.behaviour = hang
    send(sqs, url, SIX)
    live = space.submit(shared(space, url, parallelism=2))
    workers.running(2)
    throughout(2.0, lambda: left(sqs, url) == (4, 2), "the rest is there for others")

    theirs, receipt = take(sqs, url)
    workers.release()
    live.wait_counts(total=5, succeeded=5)
    sqs.client().delete_message(QueueUrl=url, ReceiptHandle=receipt)

    wait_empty(sqs, url)
    assert theirs not in {volume.i_id for volume in space.frozen("ocr")}
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_what_runs_is_kept_and_what_fails_goes_its_way(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    """One goes on for longer than it is hidden, one fails at first, one for good."""
    url, dead = queue_with_dead_letters(sqs, receives=2)
    long, shaky, bad = (volume.i_id for volume in SIX[:3])
    plays = {long: hang, shaky: fail(ExitCode.RETRYABLE), bad: fail(ExitCode.TERMINAL)}
    workers.behaviour = lambda pod: plays[pod.task.i_id](pod)
    send(sqs, url, SIX[:3])
    live = space.submit(
        shared(space, url, parallelism=3, retry={"limit": 1}, volumes={"visibility": SHORT})
    )
    live.wait_counts(total=3, failed=2, running=1)
    plays[shaky] = succeed

    live.wait_counts(total=3, failed=1, succeeded=1, running=1)
    until(lambda: left(sqs, dead) == (1, 0), "one is a dead letter", timeout=60)
    assert take(sqs, dead)[0] == bad
    assert left(sqs, url) == (0, 1), "what runs was nobody else's"

    workers.release()
    live.wait_counts(total=3, failed=1, succeeded=2)
    wait_empty(sqs, url)
    ran = [run.pod.task.i_id for run in workers.runs.all()]
    assert sorted(ran) == sorted([long, shaky, shaky, bad])


@pytest.mark.usefixtures("operator")
def test_what_is_done_already_costs_its_message_and_nothing_else(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    """One has its marker from others; one is sent again after it was done."""
    first, url = sqs.make_queue(), sqs.make_queue()
    send(sqs, first, SIX[:1])
    output = {"bucket": space.bucket, "prefix": "a/{job_id}/{w_id}-{i_id}/"}
    made = job("other", space.bucket, source(first, ack="Done"), output=output, jobId="ocr")
    space.submit(made).wait_counts(succeeded=1)
    send(sqs, url, SIX[:2])
    live = space.submit(shared(space, url, output=output))

    live.wait_counts(total=2, succeeded=2, alreadyDone=1)
    wait_empty(sqs, url)
    send(sqs, url, SIX[:2])
    until(lambda: left(sqs, url) != (2, 0), "they are taken")
    wait_empty(sqs, url)
    workers.runs.check_each_ran_once(2)
