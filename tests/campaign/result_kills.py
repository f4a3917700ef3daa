"""`make campaign-results`: an operator that is killed between any two steps of telling results.

Messages come from a queue, volumes succeed, fail, or fail once, and results go to a PostgreSQL and
to another queue. In each round the operator is killed before or after one of its requests, or at
some moment. At the end each volume has run as often as it should, stands in the tables exactly
once with each of its attempts, and has at least one message. What is random goes by the number of
the round.
"""

import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from bec_operator.act.connections.results.own.migrating import migrate
from bec_ops.contract.volume import Volume
from tests.campaign.queue_kills import AGAIN, send_round, waiting_in
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import fail, in_turn, succeed
from tests.support.connections import Mounted
from tests.support.databases import secret
from tests.support.jobs import LiveJob, condition, counts, job
from tests.support.kube import Body, Kube
from tests.support.node import PlayedNode
from tests.support.operator_process import Operator
from tests.support.pods import PlayedPod
from tests.support.postgres import Postgres, running_postgres
from tests.support.queues import SERVERS, Sqs, serving
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space, s3_client
from tests.support.tripwire import Tripwire, Wire
from tests.support.waiting import until
from tests.support.workers import Workers

LATEST = 5.0  # seconds after which the operator is killed if it has said nothing of the kind
# What the operator is killed at: whom it asks, and what it says then.
_FOLDER = "/{bucket}/artefacts/ocr/_job/"
POINTS = (
    *(("s3", f"{method} {_FOLDER}outbox-") for method in ("PUT", "GET", "DELETE")),
    *(("s3", f"PUT {_FOLDER}{name}-") for name in ("manifest", "failures")),
    ("api", "PUT /api/v1/namespaces/{namespace}/configmaps/"),
    ("sql", "INSERT INTO bec_operator.results"),
    ("sql", "COMMIT"),
    ("sqs", "AmazonSQS.ReceiveMessage"),
    ("sqs", "AmazonSQS.SendMessageBatch"),
    ("sqs", "AmazonSQS.DeleteMessageBatch"),
)
FAILS, FAILS_ONCE = "I1", "I2"
console = Console(highlight=False)


class Stage:
    """The operator under test, and the ways on which it can be killed."""

    def __init__(self, space: Space, operator: Operator, ways: dict[str, Tripwire]) -> None:
        self.hit: Counter[str] = Counter()
        self._space = space
        self._operator = operator
        self._ways = ways

    def kill(self, number: int) -> None:
        """Kill it at what is the turn of this round, or after a while; then start it again."""
        chance = random.Random(number)
        way, said = chance.choice(POINTS)
        word = said.format(bucket=self._space.bucket, namespace=self._space.namespace).encode()
        after, pid = chance.random() < 0.5, self._operator.pid
        self._ways[way].set(Wire(word, after, lambda: os.kill(pid, signal.SIGKILL)))
        deadline = time.monotonic() + LATEST
        while self._operator.running and time.monotonic() < deadline:
            time.sleep(0.02)
        name = f"{'after' if after else 'before'} {said.replace(_FOLDER, '…/')}"
        self.hit["at some moment" if self._operator.running else name] += 1
        self._ways[way].set(None)
        self._operator.kill()
        self._operator.start()


def _behave(pod: PlayedPod) -> None:
    if pod.task.i_id == FAILS:
        fail(65, "no pages")(pod)
    elif pod.task.i_id == FAILS_ONCE:
        in_turn(fail(75, "again"), succeed)(pod)
    else:
        succeed(pod)


def _wanted(sent: set[Volume]) -> dict[Volume, tuple[str, int]]:
    """Return what becomes of each volume, and in how many attempts."""
    ends = {FAILS: ("failed", 1), FAILS_ONCE: ("succeeded", 2)}
    return {volume: ends.get(volume.i_id, ("succeeded", 1)) for volume in sent}


def _in_tables(postgres: Postgres) -> Counter[tuple[Volume, str, int]]:
    """Return volumes, what became of them, and how many attempts the tables have."""
    with postgres.admin() as admin:
        rows = admin.execute(
            "SELECT w_id, i_id, i_version, outcome, count(number) FROM bec_operator.results "
            "LEFT JOIN bec_operator.attempts USING (result_id) GROUP BY result_id"
        ).fetchall()
    return Counter((Volume(*row[:3]), row[3], row[4]) for row in rows)


def _in_queue(sqs: Sqs, url: str) -> Counter[tuple[Volume, str]]:
    """Take all messages, and return how often each volume's end was told."""
    told: Counter[tuple[Volume, str]] = Counter()
    while waiting_in(sqs, url):
        found = sqs.client().receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in found.get("Messages", []):
            event: dict[str, Any] = json.loads(message["Body"])
            data = event["data"]
            volume = Volume(data["wId"], data["iId"], data.get("iVersion", ""))
            told[volume, event["type"].rpartition(".")[2]] += 1
            sqs.client().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return told


def _check(space: Space, workers: Workers, wanted: dict[Volume, tuple[str, int]]) -> None:
    """See that each volume ran as often as it should, and that no outbox is left."""
    ran = Counter((run.pod.task.w_id, run.pod.task.i_id) for run in workers.runs.all())
    assert ran == {volume[:2]: tries for volume, (_, tries) in wanted.items()}
    assert not workers.runs.overlaps
    assert set(space.frozen("ocr")) == wanted.keys()
    assert len(space.frozen("ocr")) == len(wanted)


def _play(
    stage: Stage,
    space: Space,
    workers: Workers,
    postgres: Postgres,
    queues: tuple[Sqs, str, str],
    through: Callable[[str], str],
    rounds: int,
) -> Body:
    (sqs, url, told), sent = queues, set[Volume]()
    source = {"queue": {"connection": "queues", "url": through(url)}}
    results = {
        "sql": {"connection": "catalogue"},
        "queue": {"connection": "queues", "url": through(told)},
    }
    spec = job(
        "ocr", space.bucket, source, results=results, history={"succeeded": 0}, maxFailed="100%"
    )
    live: LiveJob = space.submit(spec)
    for number in range(rounds):
        send_round(sqs, url, number, sent)
        stage.kill(number)
        if number % 20 == 19:
            console.print(f"{number + 1} rounds, {len(sent)} volumes, {counts(live.read())}")
    wanted = _wanted(sent)
    ends = Counter(end for end, _ in wanted.values())
    live.wait_counts(timeout=AGAIN, total=len(sent), **ends)
    until(lambda: not waiting_in(sqs, url), "the queue is empty", timeout=AGAIN)
    until(lambda: not space.stored("artefacts/ocr/_job/outbox-"), "all is delivered", timeout=AGAIN)
    _check(space, workers, wanted)
    assert _in_tables(postgres) == Counter((v, *end) for v, end in wanted.items())
    messages = _in_queue(sqs, told)
    assert messages.keys() == {(volume, end) for volume, (end, _) in wanted.items()}
    assert condition(live.read(), "ResultsDelivered")["status"] == "True"
    return {
        "rounds": rounds,
        "volumes": len(sent),
        "ends": ends,
        "rows": len(wanted),
        "messages": messages.total(),
        "killed": stage.hit,
    }


@contextmanager
def _ways(
    cluster: Cluster, sqs: Sqs, postgres: Postgres, folder: Path
) -> Iterator[tuple[dict[str, Tripwire], Path]]:
    """Lead to all servers through tripwires, and return them with the operator's kubeconfig."""
    with ExitStack() as stack:
        rights = operator_rights(cluster, folder)
        api = stack.enter_context(ApiFaults(rights))
        ports = {
            "s3": urlsplit(cluster.s3.endpoint_url).port,
            "sqs": urlsplit(sqs.endpoint_url).port,
            "sql": postgres.port,
            "api": urlsplit(api.url).port,
        }
        ways = {k: stack.enter_context(Tripwire(port or 0)) for k, port in ports.items()}
        config = api.kubeconfig(folder)
        config.write_text(config.read_text().replace(api.url, _at(ways["api"])))
        yield ways, config


def _at(way: Tripwire) -> str:
    return f"http://127.0.0.1:{way.port}"


def main(
    rounds: Annotated[int, typer.Option()] = 200,
    server: Annotated[str, typer.Option(help=f"one of {', '.join(SERVERS)}")] = "elasticmq",
) -> None:
    """Play all rounds, and fail if anything is lost, or stands anywhere twice."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="results-")))
        sqs = stack.enter_context(serving(server))
        postgres = stack.enter_context(running_postgres())
        cluster = stack.enter_context(Cluster.start("campaign-results", Parts.API))
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        migrate(secret(folder / "migrating", postgres.url(sslmode="disable")))
        ways, config = stack.enter_context(_ways(cluster, sqs, postgres, folder))
        mounted = Mounted(folder, queues={"kind": "sqs"}, catalogue={"kind": "sql"})
        mounted.put("queues", **sqs.secret() | {"AWS_ENDPOINT_URL_SQS": _at(ways["sqs"])})
        url = postgres.url(sslmode="disable").replace(f":{postgres.port}/", f":{ways['sql'].port}/")
        mounted.put("catalogue", url=url)
        kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
        s3 = replace(cluster.s3, endpoint_url=_at(ways["s3"]))
        node = stack.enter_context(PlayedNode(kube, "played"))
        space = stack.enter_context(new_space(cluster, kube, client))
        workers = stack.enter_context(
            Workers(kube, client, space.namespace, node.name, behaviour=_behave)
        )
        operator = stack.enter_context(
            Operator(config, s3, folder / "operator.log", **mounted.settings)
        )
        queues = (sqs, sqs.make_queue(), sqs.make_queue())
        figures = _play(
            Stage(space, operator, ways), space, workers, postgres, queues,
            lambda url: url.replace(sqs.endpoint_url, _at(ways["sqs"])), rounds,
        )  # fmt: skip
    console.print_json(data=figures)


if __name__ == "__main__":
    typer.run(main)
