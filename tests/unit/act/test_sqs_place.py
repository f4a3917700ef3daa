"""Which URLs of queues a connection stands for, and where these are asked."""

from pathlib import Path

import pytest

from bec_operator.act.connections.sqs_place import QUEUE_REFUSED, place_of
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble
from tests.support.queues import connection

AT = "/123456789012/tasks"
OF_AMAZON = "sqs.eu-west-1.amazonaws.com"
CHINAS = "sqs.cn-north-1.api.amazonwebservices.com.cn"


@pytest.mark.parametrize(
    ("host", "endpoint", "region"),
    [
        (OF_AMAZON, OF_AMAZON, "eu-west-1"),
        ("sqs.us-gov-west-1.amazonaws.com", "sqs.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs-fips.us-east-2.amazonaws.com", "sqs-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("sqs.cn-north-1.amazonaws.com.cn", "sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs.eusc-de-east-1.amazonaws.eu", "sqs.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("sqs.eu-west-1.api.aws", "sqs.eu-west-1.api.aws", "eu-west-1"),
        *[(host, host, "cn-north-1") for host in ("sqs.cn-north-1.api.amazonwebservices.com.cn",)],
        ("queue.amazonaws.com", "sqs.us-east-1.amazonaws.com", "us-east-1"),
        ("ap-south-1.queue.amazonaws.com", "sqs.ap-south-1.amazonaws.com", "ap-south-1"),
        ("cn-north-1.queue.amazonaws.com.cn", "sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ],
)
def test_without_an_endpoint_queues_are_amazons(
    tmp_path: Path, host: str, endpoint: str, region: str
) -> None:
    connected = connection(tmp_path, {"AWS_REGION": "elsewhere-1"})
    place = place_of(connected, f"https://{host}{AT}")
    assert (place.endpoint, place.region) == (f"https://{endpoint}", region)
    assert (place.url, place.name) == (f"https://{host}{AT}", "tasks")


@pytest.mark.parametrize(
    "url",
    [
        f"http://{OF_AMAZON}{AT}",
        f"https://{OF_AMAZON}.evil.example{AT}",
        f"https://evil.example/{OF_AMAZON}{AT}",
        f"https://{OF_AMAZON}@evil.example{AT}",
        f"https://evil.example#{OF_AMAZON}{AT}",
        f"https://evil.example\\{OF_AMAZON}{AT}",
        f"https://user:tell-me-not@{OF_AMAZON}{AT}",
        f"https://{OF_AMAZON}:8443{AT}",
        f"https://{OF_AMAZON}{AT}?x=tell-me-not",
        f"https://{OF_AMAZON}{AT}\n",
        f" https://{OF_AMAZON}{AT}",
        f"https://{OF_AMAZON}/1234/tasks",
        f"https://{OF_AMAZON}/123456789012/",
        f"https://{OF_AMAZON}/123456789012/{'q' * 81}",
        f"https://{OF_AMAZON}/123456789012/../tasks",
        f"https://sqs.evil.example.amazonaws.com{AT}",
        f"https://s3.eu-west-1.amazonaws.com{AT}",
        f"https://sqs.eu-west-1.amazonaws.com.evil{AT}",
        f"https://sqs.eu-west-1xamazonaws.com{AT}",
        f"https://169.254.169.254{AT}",
        f"https://127.0.0.1{AT}",
        f"ftp://{OF_AMAZON}{AT}",
        "tasks",
        "",
        "x" * 100_000,
    ],
)
def test_without_an_endpoint_no_other_host_is_asked(tmp_path: Path, url: str) -> None:
    said = refused(connection(tmp_path / "none", {}), url)
    assert "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME" in said


def refused(connected: Connection, url: str, reason: str = QUEUE_REFUSED) -> str:
    with pytest.raises(ConnectionTrouble) as caught:
        place_of(connected, url)
    said = str(caught.value)
    assert caught.value.reason == reason
    assert len(said) < 400
    assert "tell-me-not" not in said
    return said


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://queues:9324", "http://queues:9324/000000000000/tasks"),
        ("http://queues:9324/", "http://queues:9324/queue/tasks"),
        ("http://queues:9324/sqs", "http://queues:9324/sqs/000000000000/tasks"),
        ("https://Queues.example", f"https://queues.example:443{AT}"),
        ("http://[::1]:9324", "http://[::1]:9324/tasks"),
        (f"https://{OF_AMAZON}", f"https://{OF_AMAZON}{AT}"),
    ],
)
def test_with_an_endpoint_queues_are_of_that_server(
    tmp_path: Path, endpoint: str, url: str
) -> None:
    place = place_of(connection(tmp_path, {"AWS_ENDPOINT_URL": endpoint}), url)
    assert (place.url, place.endpoint, place.name) == (url, endpoint, "tasks")
    assert place.region == ("eu-west-1" if OF_AMAZON in endpoint else "us-east-1")


@pytest.mark.parametrize(
    "url",
    [
        f"http://other:9324{AT}",
        f"http://queues:9325{AT}",
        f"https://queues:9324{AT}",
        f"http://queues{AT}",
        f"http://queues:9324@other{AT}",
        f"http://tell-me-not@queues:9324{AT}",
        f"http://queues:9324{AT}?x",
        f"http://queues:9324{AT}#x",
        "http://queues:9324/",
        "http://queues:9324/../x y",
        "http://queues:99999/x",
        "http://[::1/x",
        f"http://queues:9324{AT}\n",
        f" http://queues:9324{AT}",
        f"ht\ttp://queues:9324{AT}",
        f"https://{OF_AMAZON}{AT}",
        "tasks",
    ],
)
def test_with_an_endpoint_no_other_server_is_asked(tmp_path: Path, url: str) -> None:
    connected = connection(tmp_path, {"AWS_ENDPOINT_URL_SQS": "http://queues:9324"})
    assert "write it as http://queues:9324/ACCOUNT/NAME" in refused(connected, url)


def test_the_endpoint_of_sqs_goes_before_that_of_all(tmp_path: Path) -> None:
    secret = {"AWS_ENDPOINT_URL_SQS": "http://queues:1", "AWS_ENDPOINT_URL": "http://all:1"}
    connected = connection(tmp_path, secret)
    assert place_of(connected, f"http://queues:1{AT}").endpoint == "http://queues:1"
    refused(connected, f"http://all:1{AT}")


@pytest.mark.parametrize(
    "endpoint",
    [
        "queues:9324",
        "ftp://queues",
        "http://",
        "http://user:tell-me-not@queues",
        "http://queues?tell-me-not",
        "http://queues:99999",
        "http://[::1",
        "",
    ],
)
def test_an_endpoint_that_is_none_is_the_administrators(tmp_path: Path, endpoint: str) -> None:
    connected = connection(tmp_path, {"AWS_ENDPOINT_URL_SQS": endpoint})
    said = refused(connected, f"{endpoint}{AT}", UNAVAILABLE)
    assert "AWS_ENDPOINT_URL_SQS of its Secret is no address of a server" in said


def test_a_region_that_is_none_is_the_administrators(tmp_path: Path) -> None:
    secret = {"AWS_ENDPOINT_URL": "http://queues", "AWS_REGION": "tell-me-not "}
    assert place_of(connection(tmp_path, secret), f"http://queues{AT}").region == "tell-me-not"
    connected = connection(tmp_path, secret | {"AWS_REGION": "Tell me not"})
    assert "AWS_REGION of its Secret is no region" in refused(
        connected, f"http://queues{AT}", UNAVAILABLE
    )


def test_a_secret_that_is_mounted_and_not_there_is_no_workload_identity(tmp_path: Path) -> None:
    url = f"https://{OF_AMAZON}{AT}"
    connected = Connection("queues", tmp_path)
    assert "its Secret is not there" in refused(connected, url, UNAVAILABLE)
    (tmp_path / "..data").mkdir()
    assert "its Secret is not there" in refused(connected, url, UNAVAILABLE)
    (tmp_path / "AWS_REGION").write_text("us-east-1")
    assert place_of(connected, url).region == "eu-west-1"
    assert place_of(Connection("queues", tmp_path / "none"), url).region == "eu-west-1"


def test_a_fifo_queue_is_refused(tmp_path: Path) -> None:
    connected = connection(tmp_path / "none", {})
    said = refused(connected, f"https://{OF_AMAZON}{AT}.fifo")
    assert "tasks.fifo is a FIFO queue" in said
    assert "name a standard queue" in said


def test_another_queue_of_the_server_is_asked_where_this_one_is(tmp_path: Path) -> None:
    connected = connection(tmp_path, {"AWS_ENDPOINT_URL": "http://queues:9324"})
    place = place_of(connected, f"http://queues:9324{AT}")
    assert place.beside("http://localhost:1/0/dead") == "http://queues:9324/0/dead"
    with pytest.raises(ValueError, match="no URL"):
        place.beside("http://localhost:1/")
