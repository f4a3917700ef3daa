"""Where a queue is: the URL that a Job names, held to the server of its connection.

What the operator asks of a queue is signed. So it is asked of the connection's own endpoint or,
where its Secret names none, of Amazon's, and a Job that names any other host is refused before
anything is sent.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble

QUEUE_REFUSED = "QueueRefused"

_ENDPOINTS = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
_NAME = r"/(?P<name>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)"
_REGION = r"(?P<region>[a-z]{2,8}(?:-[a-z]{2,12}){1,2}-[0-9]{1,2})"
_DOMAIN = r"(?P<domain>amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu)"
_DUAL_STACK = r"api\.aws|api\.amazonwebservices\.com\.cn"
_AWS = re.compile(
    rf"https://sqs(?:-fips)?\.{_REGION}\.(?:{_DOMAIN}|{_DUAL_STACK})/[0-9]{{12}}{_NAME}"
)
_LEGACY = re.compile(rf"https://(?:{_REGION}\.)?queue\.{_DOMAIN}/[0-9]{{12}}{_NAME}")
_PATH = re.compile(rf"(?:/[A-Za-z0-9_-]{{1,80}}){{0,4}}{_NAME}")
_ASKED = re.compile(r"[a-z0-9-]{1,32}")  # a region, as servers that are not Amazon's may call it
_USUAL = "us-east-1"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """A queue by its URL, and where and in which region that is asked."""

    url: str
    endpoint: str
    region: str
    name: str

    def beside(self, url: str) -> str:
        """Return the URL of another queue of this server, however the server calls itself."""
        path = urlsplit(url).path
        if not _PATH.fullmatch(path):
            raise ValueError("no URL of a queue")
        own = urlsplit(self.url)
        return f"{own.scheme}://{own.netloc}{path}"


def place_of(connection: Connection, url: str) -> Place:
    """Return where a queue is; raises ConnectionTrouble for one that is not the connection's."""
    _see_secret(connection)
    entry = next((key for key in _ENDPOINTS if connection.path(key)), None)
    place = _of_endpoint(connection, entry, url) if entry else _of_amazon(connection, url)
    if place.name.endswith(".fifo"):
        raise ConnectionTrouble(
            QUEUE_REFUSED,
            f"connection {connection.name}: {place.name} is a FIFO queue, which hands out no "
            "further message of a group while one of it is worked on; name a standard queue",
        )
    return place


def _see_secret(connection: Connection) -> None:
    """Raise ConnectionTrouble for a Secret that is mounted, and not there.

    Without it the operator would come as who it is itself: that is for connections that name none,
    and so have no folder.
    """
    try:
        entries = [each.name for each in connection.folder.iterdir()]
    except FileNotFoundError:
        return
    except OSError:
        entries = []
    if all(name.startswith("..") for name in entries):
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {connection.name}: its Secret is not there, or is empty; the "
            "administrator has to put it there, or to name none for workload identity",
        )


def _of_amazon(connection: Connection, url: str) -> Place:
    if found := _AWS.fullmatch(url):
        endpoint = url[: url.index("/", len("https://"))]
        return Place(url, endpoint, found["region"], found["name"])
    if found := _LEGACY.fullmatch(url):
        region = found["region"] or _USUAL
        return Place(url, f"https://sqs.{region}.{found['domain']}", region, found["name"])
    raise ConnectionTrouble(
        QUEUE_REFUSED,
        f"connection {connection.name}: this is no URL of a queue of Amazon's; write it as "
        "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, or have the administrator put the server's "
        f"address into the connection's Secret as {_ENDPOINTS[0]}",
    )


def _of_endpoint(connection: Connection, entry: str, url: str) -> Place:
    endpoint = connection.entry(entry)
    server = _server(endpoint)
    if server is None:
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {connection.name}: {entry} of its Secret is no address of a server; "
            "the administrator has to write https://HOST:PORT, without user, password or ?",
        )
    asked = _split(url)
    found = _PATH.fullmatch(asked.path) if asked is not None else None
    if found is None or _server(url) != server:
        scheme, host, port = server
        raise ConnectionTrouble(
            QUEUE_REFUSED,
            f"connection {connection.name}: this is no URL of a queue of its server; write it as "
            f"{scheme}://{host}:{port}/ACCOUNT/NAME",
        )
    return Place(url, endpoint, _region(connection, endpoint), found["name"])


def _region(connection: Connection, endpoint: str) -> str:
    region = connection.entry("AWS_REGION")
    if not region:
        of_amazon = _AWS.fullmatch(f"{endpoint.rstrip('/')}/{0:012}/a")
        return of_amazon["region"] if of_amazon else _USUAL
    if not _ASKED.fullmatch(region):
        raise ConnectionTrouble(
            UNAVAILABLE,
            f"connection {connection.name}: AWS_REGION of its Secret is no region; the "
            f"administrator has to write one as {_USUAL}",
        )
    return region


def _server(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an address; None if it is none, or holds more than that."""
    parts = _split(url)
    if parts is None or not parts.hostname or parts.scheme not in _PORTS:
        return None
    if "@" in parts.netloc or parts.query or parts.fragment:
        return None
    if not url.isprintable() or " " in url:  # some of which urlsplit takes out
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, host, parts.port or _PORTS[parts.scheme]


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number of a port
    except ValueError:
        return None
    return parts
