"""Which addresses of workers are called."""

import pytest

from bec_operator.gateway.faces.grpc.addresses import Allowed
from bec_operator.worker_api.callers.refusals import CallRefusedError

ALLOWED = Allowed(["10.0.0.0/8", "fd00::/8", "gpu1.example.org"])


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.1.2.3:30000", "ipv4:10.1.2.3:30000"),
        ("[fd00::1]:30000", "ipv6:[fd00::1]:30000"),
        ("[::ffff:10.1.2.3]:30000", "ipv4:10.1.2.3:30000"),
        ("GPU1.example.org:1024", "dns:///GPU1.example.org:1024"),
    ],
)
def test_what_is_listed_is_called(text: str, target: str) -> None:
    assert ALLOWED.check(text).target == target


@pytest.mark.parametrize(
    "text",
    [
        "11.0.0.1:30000",
        "[::ffff:127.0.0.1]:30000",
        "[::1]:30000",
        "gpu2.example.org:30000",
        "gpu1.example.org.evil.example:30000",
        "0x0a000001:30000",
        "167772161:30000",
        "10.1:30000",
        "10.1.2.3:22",
        "10.1.2.3:65536",
    ],
)
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(CallRefusedError) as raised:
        ALLOWED.check(text)
    assert raised.value.word == "Forbidden"


@pytest.mark.parametrize("text", ["", "10.1.2.3", "unix:/run/x.sock:3000", "a:b@10.1.2.3:3000"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(CallRefusedError) as raised:
        ALLOWED.check(text)
    assert raised.value.word == "Invalid"


def test_by_default_nothing_is_called() -> None:
    with pytest.raises(CallRefusedError):
        Allowed([]).check("127.0.0.1:30000")
