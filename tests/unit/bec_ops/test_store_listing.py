"""Lists as they come from stores that differ: what was seen of real ones, played by a server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

import pytest

from bec_ops.contract.s3.store import Store, StoreError

Query = dict[str, str]
PAGE = 3


class _Lists(BaseHTTPRequestHandler):
    """Answers GETs of a bucket with what `answer` returns: a status and a body."""

    answer: ClassVar[Callable[[Query], tuple[int, str]]]

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        status, text = type(self).answer({name: values[0] for name, values in query.items()})
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def listing(answer: Callable[[Query], tuple[int, str]]) -> Iterator[Store]:
    handler = type("Lists", (_Lists,), {"answer": staticmethod(answer)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield Store(f"http://127.0.0.1:{server.server_port}", "us-east-1")
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")


def result(
    keys: list[str] = [],  # noqa: B006 - never changed
    folders: list[str] = [],  # noqa: B006
    more: str = "",
) -> tuple[int, str]:
    """Return a page, written as it is given."""
    parts = [f"<Contents><Key>{key}</Key></Contents>" for key in keys]
    parts += [f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in folders]
    parts.append(f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>")
    if more:
        parts.append(f"<NextContinuationToken>{more}</NextContinuationToken>")
    return 200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>"


def refusal(status: int, code: str, message: str) -> tuple[int, str]:
    return status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


def test_a_list_is_begun_after_a_key_in_the_first_request_alone() -> None:
    """S3Proxy 3.1 and 3.3 refuse StartAfter beside a token: 400 InvalidArgument."""
    names = [f"p/{number:02}/" for number in range(20)]

    def answer(query: Query) -> tuple[int, str]:
        if "start-after" in query and "continuation-token" in query:
            return refusal(400, "InvalidArgument", "StartAfter and ContinuationToken")
        after = query.get("continuation-token") or query.get("start-after", "")
        page = [name for name in names if name > after][: PAGE + 1]
        return result(folders=page[:PAGE], more=page[PAGE - 1] if len(page) > PAGE else "")

    with listing(answer) as store:
        assert list(store.list_folders("b", "p/", "p/13")) == names[10:]
        assert list(store.list_folders("b", "p/")) == names


@pytest.mark.parametrize("token", ["", "same"])
def test_a_list_that_does_not_say_where_it_goes_on_is_no_answer(token: str) -> None:
    asked: list[Query] = []

    def answer(query: Query) -> tuple[int, str]:
        asked.append(query)
        status, text = result(folders=["p/a/"], more=token or "x")
        if not token:
            text = text.replace("<NextContinuationToken>x</NextContinuationToken>", "")
        return status, text

    with listing(answer) as store, pytest.raises(StoreError, match="goes on") as caught:
        list(store.list_folders("b", "p/"))
    assert caught.value.reason == "Unavailable"
    assert len(asked) <= 2


def test_a_store_that_says_that_it_encodes_and_does_not() -> None:
    """s3s-fs 0.14 repeats EncodingType=url, and sends keys as they are: `%2D` became `-`."""

    def answer(query: Query) -> tuple[int, str]:
        status, text = result(["p/W%2D1/key"], ["p/W%2D1/"])
        if query.get("encoding-type") == "url":
            text = text.replace("<IsT", "<EncodingType>url</EncodingType><IsT")
        return status, text

    with listing(answer) as store:
        assert "p/W%2D1/" in store.list_folders("b", "p/")
        assert list(store.list_keys("b", "p/")) == ["p/W%2D1/key"]


def test_a_name_that_xml_cannot_hold_does_not_end_a_list() -> None:
    """What somebody else has put beside our folders: the page is asked for again, encoded."""
    names = ["p/W%2D1 b+c&/", "p/\x01\ufffe/", "p/ཀ/"]

    def answer(query: Query) -> tuple[int, str]:
        if query.get("encoding-type") == "url":
            status, text = result(folders=[quote(name) for name in names])
            return status, text.replace("<IsT", "<EncodingType>url</EncodingType><IsT")
        return result(folders=[escape(name) for name in names])

    with listing(answer) as store:
        assert list(store.list_folders("b", "p/")) == names


def test_an_object_of_a_folders_name_counts_as_one() -> None:
    """MinIO hides all that is below `p/vol1` in a list if there is an object of that name."""
    with listing(lambda _: result(["p/", "p/vol1"], ["p/vol2/"])) as store:
        assert set(store.list_folders("b", "p/")) == {"p/vol1/", "p/vol2/"}
