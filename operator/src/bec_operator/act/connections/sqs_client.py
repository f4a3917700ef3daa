"""Clients of SQS: one for each server and what is signed with, until its Secret changes."""

import hashlib
import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from bec_operator.act.connections.sqs_place import Place
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

CONNECT = 5  # seconds until a connection stands
ANSWER = 10  # seconds between two bytes of an answer, beside what was asked to wait
_CONNECTIONS = 64  # of one client at once: so many jobs may listen
_MOST = 16  # clients that are kept: a Job may name many a region
_KEY = re.compile(r"[\x21-\x7e]{1,256}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")

Credentials = tuple[str, str, str]
_Kept = tuple[bytes, "SQSClient"]


class Clients:
    """Clients by server, with a hash of what the Secret held as each was made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()

    def client(self, connection: Connection, place: Place, wait: int) -> "SQSClient":
        """Return a client that waits for answers of so many seconds; raises ConnectionTrouble."""
        credentials = _credentials(connection)
        digest = hashlib.sha256("\0".join(credentials or ()).encode()).digest()
        key = (str(connection.folder), place.endpoint, place.region, str(wait))
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != digest:
                self._kept[key] = kept = digest, _client(place, credentials, wait)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return kept[1]


CLIENTS = Clients()


def _credentials(connection: Connection) -> Credentials | None:
    """Return what the Secret holds; None if it holds none, and boto3 looks for them itself."""
    if not (connection.path("AWS_ACCESS_KEY_ID") or connection.path("AWS_SECRET_ACCESS_KEY")):
        return None
    key = connection.needed("AWS_ACCESS_KEY_ID")
    secret = connection.needed("AWS_SECRET_ACCESS_KEY")
    token = connection.entry("AWS_SESSION_TOKEN")
    # Else the HTTP client refuses the header, and repeats what is in it.
    for name, value, form in (
        ("AWS_ACCESS_KEY_ID", key, _KEY),
        ("AWS_SECRET_ACCESS_KEY", secret, _KEY),
        ("AWS_SESSION_TOKEN", token, _TOKEN),
    ):
        if value and not form.fullmatch(value):
            raise ConnectionTrouble(
                UNAVAILABLE,
                f"connection {connection.name}: {name} of its Secret holds blanks or letters that "
                "none has, or is too long; the administrator has to put it there as it was given",
            )
    return key, secret, token


def _client(place: Place, credentials: Credentials | None, wait: int) -> "SQSClient":
    from boto3.session import Session  # noqa: PLC0415 - who has no queues need not load it
    from botocore.config import Config  # noqa: PLC0415

    key, secret, token = credentials or (None, None, None)
    return Session().client(
        "sqs",
        region_name=place.region,
        endpoint_url=place.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token or None,
        config=Config(
            connect_timeout=CONNECT,
            read_timeout=wait + ANSWER,
            max_pool_connections=_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 1},  # who asks will ask again
        ),
    )
