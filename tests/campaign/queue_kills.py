"""`make campaign-queue`: an operator that is killed over and over while messages of a queue come.

In each round some messages are sent, and the operator is killed at some moment of what it does with
them. At the end each volume has run exactly once, and the queue is empty: nothing is lost, nothing
done twice. With `--ack Done` the queue is shared with a worker that is not ours: each volume is
done by one of both, or by both if its message came to the other while it was under way here. What
is random goes by the round's number.
"""

import json
import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bec_operator.api.queue import Ack
from bec_ops.contract.volume import Volume
from tests.campaign.other_worker import OtherWorker
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, counts, job
from tests.support.kube import Body, Kube
from tests.support.node import PlayedNode
from tests.support.operator_process import Operator
from tests.support.queues import SERVERS, Sqs, serving
from tests.support.space import Space, new_space, s3_client
from tests.support.volume_messages import source
from tests.support.waiting import until
from tests.support.workers import Workers

MOST = 6  # messages of a round
LATEST = 4.0  # seconds after which the operator is killed
AGAIN = 200.0  # seconds within which what was received in vain has come again
console = Console(highlight=False)


def send_round(sqs: Sqs, url: str, number: int, sent: set[Volume]) -> None:
    """Send the messages of a round: new volumes, now and then one again, or one that is none."""
    chance = random.Random(number)
    for each in range(chance.randint(1, MOST)):
        volume = Volume(f"W{number}", f"I{each}")
        if sent and chance.random() < 0.2:
            volume = chance.choice(sorted(sent))
        body = {"w_id": volume.w_id, "i_id": volume.i_id}
        if chance.random() < 0.05:
            body.pop("i_id")
        else:
            sent.add(volume)
        sqs.client().send_message(QueueUrl=url, MessageBody=json.dumps(body))


def waiting_in(sqs: Sqs, url: str) -> int:
    """Return how many messages a queue has, those included that somebody has."""
    found = sqs.client().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting = int(found["ApproximateNumberOfMessages"])
    return waiting + int(found["ApproximateNumberOfMessagesNotVisible"])


def _play(space: Space, sqs: Sqs, operator: Operator, workers: Workers, rounds: int) -> None:
    url, sent = sqs.make_queue(), set[Volume]()
    queue = {"queue": {"connection": "queues", "url": url}}
    live: LiveJob = space.submit(job("ocr", space.bucket, queue, history={"succeeded": 0}))
    _kill(sqs, url, operator, live, sent, rounds)
    found = live.wait_counts(timeout=AGAIN, total=len(sent), succeeded=len(sent))
    until(lambda: not waiting_in(sqs, url), "the queue is empty", timeout=AGAIN)
    workers.runs.check_each_ran_once(len(sent))
    assert set(space.frozen("ocr")) == sent
    assert len(space.frozen("ocr")) == len(sent)
    console.print(f"{rounds} rounds: {len(sent)} volumes, each done once; {counts(found)}")


def _share(space: Space, sqs: Sqs, operator: Operator, workers: Workers, rounds: int) -> None:
    """Play the rounds with a queue that is shared."""
    url, sent = sqs.make_queue(), set[Volume]()
    queue = source(url, ack="Done", visibility="10s")
    made = job("ocr", space.bucket, queue, history={"succeeded": 0}, parallelism=3)
    live: LiveJob = space.submit(made)
    with OtherWorker(sqs, url) as other:
        _kill(sqs, url, operator, live, sent, rounds)
        until(lambda: not waiting_in(sqs, url), "the queue is empty", timeout=AGAIN)
    live.wait(lambda found: bool(_all_done(found)), "all that came is done", timeout=AGAIN)
    ours = space.frozen("ocr")
    workers.runs.check_each_ran_once(len(ours))
    assert len(set(ours)) == len(ours)
    assert set(ours) | other.done == sent
    console.print(
        f"{rounds} rounds: {len(sent)} volumes, {len(ours)} done here, each once, "
        f"{len(other.done)} by the other, {len(other.done & set(ours))} by both"
    )


def _all_done(found: Body) -> bool:
    seen = counts(found)
    return bool(seen) and seen.get("succeeded") == seen.get("total")


def _kill(
    sqs: Sqs, url: str, operator: Operator, live: LiveJob, sent: set[Volume], rounds: int
) -> None:
    """Send messages and kill the operator, over and over."""
    for number in range(rounds):
        send_round(sqs, url, number, sent)
        time.sleep(random.Random(number).uniform(0.0, LATEST))
        operator.kill()
        operator.start()
        if number % 20 == 19:
            console.print(f"{number + 1} rounds, {len(sent)} volumes, {counts(live.read())}")


def main(
    rounds: Annotated[int, typer.Option()] = 200,
    server: Annotated[str, typer.Option(help=f"one of {', '.join(SERVERS)}")] = "elasticmq",
    ack: Annotated[Ack, typer.Option(help="when a message is deleted")] = Ack.STORED,
) -> None:
    """Play all rounds, and fail if a volume ran twice or never."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(server) as sqs,
        Cluster.start("campaign-queue", Parts.API) as cluster,
    ):
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
        mounted = Mounted(Path(folder), queues={"kind": "sqs"})
        mounted.put("queues", **sqs.secret())
        log = Path(folder) / "operator.log"
        with (
            PlayedNode(kube, "played") as node,
            new_space(cluster, kube, client) as space,
            Workers(kube, client, space.namespace, node.name) as workers,
            Operator(cluster.kubeconfig, cluster.s3, log, **mounted.settings) as operator,
        ):
            play = _play if ack is Ack.STORED else _share
            play(space, sqs, operator, workers, rounds)


if __name__ == "__main__":
    typer.run(main)
