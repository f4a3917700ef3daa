"""ETags of very many objects: a plain yes is taken as it is, all else is asked again."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from bec_ops.contract.s3.client import make_client
from bec_ops.contract.s3.heads import Heads
from bec_ops.contract.s3.settings import StoreSettings
from tests.support.local_server import LocalServer

asked: list[tuple[str, str]] = []
headers: list[dict[str, str]] = []
AGAIN = "asked again"


class Handler(BaseHTTPRequestHandler):
    """An object is there, or what its key says."""

    def do_HEAD(self) -> None:
        headers.append(dict(self.headers))
        said = self.path.rpartition("/")[2]
        self.send_response(int(said) if said.isdigit() else 200)
        if said != "no-etag":
            self.send_header("ETag", '"abc123"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    asked.clear()
    headers.clear()
    with LocalServer(Handler) as server:
        yield server.url


def heads(url: str) -> Heads:
    settings = StoreSettings(expected_bucket_owner="123456789012", requester_pays=True)
    return Heads(make_client(url, "us-east-1", 4, None), settings, 4)


def ask(bucket: str, key: str) -> str | None:
    asked.append((bucket, key))
    return AGAIN


def test_a_plain_yes_is_one_request_with_all_that_the_bucket_demands(url: str) -> None:
    assert heads(url).etag("bucket", "Works/ང/a b+c.json", ask) == "abc123"
    assert not asked
    (sent,) = headers
    assert sent["x-amz-expected-bucket-owner"] == "123456789012"
    assert sent["x-amz-request-payer"] == "requester"
    assert sent["X-Amz-Security-Token"] == "token"
    assert sent["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")


@pytest.mark.parametrize("key", ["404", "403", "503", "301", "no-etag"])
def test_all_else_is_asked_again(url: str, key: str) -> None:
    assert heads(url).etag("bucket", key, ask) == AGAIN
    assert asked == [("bucket", key)]


@pytest.mark.parametrize(
    ("bucket", "url_of"), [("bucket", "http://127.0.0.1:1"), ("no bucket", "")]
)
def test_who_cannot_be_reached_is_asked_again(url: str, bucket: str, url_of: str) -> None:
    assert heads(url_of or url).etag(bucket, "key", ask) == AGAIN


def test_without_credentials_the_client_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert heads(url).etag("bucket", "key", ask) == AGAIN
