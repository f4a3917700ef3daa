"""Who the operator is to a queue's server: what a connection's Secret holds, and who is asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import urllib3

from bec_operator.act.connections import sqs_client
from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_answers import QUEUE_FORBIDDEN
from bec_operator.act.connections.sqs_place import Place, place_of
from bec_operator.act.ground.connections import UNAVAILABLE, Connection
from tests.support.played_sqs import KEY, PATH, SECRET, SIGNING, TOKEN, PlayedSqs, playing, trouble
from tests.support.queues import Sqs, connection, serving


@pytest.fixture
def played() -> Iterator[PlayedSqs]:
    with playing() as played:
        yield played


def test_credentials_are_checked_by_who_can(tmp_path: Path) -> None:
    """Of our two servers moto can, by IAM; it answers in XML, which leaves the status alone."""
    with serving("moto") as server:
        url, keys = server.make_queue(), user_that_may_receive(server)
        strict = f"{server.endpoint_url}/moto-api/reset-auth"
        answer = urllib3.request("POST", strict, body=b"0", headers={"Content-Type": "text/plain"})
        assert answer.status == 200
        connected = connection(tmp_path, server.secret() | keys)
        assert Queue(connected, url).receive(1, 0, 30) == []
        told = trouble(Queue(connected, url).facts)
        assert (told.reason, "may not" in str(told)) == (QUEUE_FORBIDDEN, True)
        (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text(SECRET)
        assert trouble(lambda: Queue(connected, url).receive(1, 0, 30)).reason == QUEUE_FORBIDDEN


def user_that_may_receive(server: Sqs) -> dict[str, str]:
    iam = boto3.client(
        "iam",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    allowed = {"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.create_user(UserName="receiver")
    iam.put_user_policy(UserName="receiver", PolicyName="receive", PolicyDocument=policy)
    key = iam.create_access_key(UserName="receiver")["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def test_endpoints_of_the_operators_own_environment_are_not_those_of_queues(
    played: PlayedSqs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_ENDPOINT_URL may stand there for S3, and names no server of queues."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", played.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", played.url)
    connected = connection(tmp_path, SIGNING)
    place = place_of(connected, f"https://sqs.eu-west-1.amazonaws.com{PATH}")
    client = sqs_client.Clients().client(connected, place, 0)
    assert client.meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    assert client.meta.region_name == "eu-west-1"


def signed_by(played: PlayedSqs) -> tuple[str, str | None]:
    """Return which key the last request was signed with, and its token."""
    last = played.come[-1]
    return last["Authorization"].partition("Credential=")[2].split("/")[0], last.get(
        "X-Amz-Security-Token"
    )


def test_credentials_that_have_changed_are_those_of_the_next_request(
    played: PlayedSqs, tmp_path: Path
) -> None:
    connected = connection(tmp_path, played.secret())
    queue = Queue(connected, played.queue_url)
    queue.facts()
    assert signed_by(played) == (KEY, TOKEN)
    (tmp_path / "AWS_SESSION_TOKEN").unlink()
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("AKIANEW\n")
    queue.facts()
    assert signed_by(played) == ("AKIANEW", None)


def test_clients_are_kept_while_nothing_changes_and_not_too_many(tmp_path: Path) -> None:
    clients, connected = sqs_client.Clients(), connection(tmp_path, SIGNING)
    first = clients.client(connected, at(connected, 1), 0)
    assert clients.client(connected, at(connected, 1), 0) is first
    assert clients.client(connected, at(connected, 1), 20) is not first
    for number in range(2, 2 + 16):
        clients.client(connected, at(connected, number), 0)
    assert clients.client(connected, at(connected, 1), 0) is not first


def at(connected: Connection, number: int) -> Place:
    return place_of(connected, f"https://sqs.xx-nowhere-{number}.amazonaws.com{PATH}")


def test_without_keys_in_the_secret_boto3_looks_for_them(
    played: PlayedSqs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    connected = connection(tmp_path / "secret", {"AWS_ENDPOINT_URL_SQS": played.url})
    queue = Queue(connected, played.queue_url)
    told = trouble(queue.facts)
    assert (told.reason, "there are no credentials" in str(told)) == (UNAVAILABLE, True)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    connected = connection(tmp_path / "other", {"AWS_ENDPOINT_URL_SQS": played.url})
    told = trouble(Queue(connected, played.queue_url).facts)
    assert (told.reason, "there are no credentials" in str(told)) == (UNAVAILABLE, True)
    assert played.come == []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    connected = connection(tmp_path / "third", {"AWS_ENDPOINT_URL_SQS": played.url})
    Queue(connected, played.queue_url).facts()
    assert signed_by(played) == ("AKIAOWN", None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AWS_ACCESS_KEY_ID", f"{KEY}\nX-Evil: 1"),
        ("AWS_SECRET_ACCESS_KEY", f"{SECRET} {SECRET}"),
        ("AWS_SESSION_TOKEN", f"{TOKEN}\r\nX-Evil: 1"),
        ("AWS_SESSION_TOKEN", TOKEN * 10_000),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
    ],
)
def test_credentials_that_are_none_are_told_by_their_key(
    played: PlayedSqs, tmp_path: Path, key: str, value: str
) -> None:
    connected = connection(tmp_path / "secret", played.secret() | {key: value})
    told = trouble(Queue(connected, played.queue_url).facts)
    assert told.reason == UNAVAILABLE
    assert key in str(told)
    assert played.come == []
