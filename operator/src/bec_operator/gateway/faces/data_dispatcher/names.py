"""What Jobs, volumes and workers are called in Data Dispatcher. All of it is derived, none kept.

Its client quotes nothing in a URL, and splits at colons and blanks. So of an id only letters,
digits, `.`, `_` and `-` stay as they are; each other byte of its UTF-8 is `~` and two digits.
"""

import base64
import binascii
import hashlib
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from bec_operator.act.ground.enrolled import Enrolment, Outsider
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.outside import seat_in, worker_of
from bec_ops.contract.volume import Volume

FACE = "data-dispatcher"
"""What the protocol is called, in settings and in markers."""
PROCESS = FACE
"""All processes of a worker are one: in this protocol nobody says which of them calls."""
_PLAIN = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-")
_ESCAPED = re.compile(r"(?:[0-9A-Za-z._-]|~[0-9A-F]{2})*")
_VERSION = "@"  # between the id of an image group and its version; in an id it is escaped
_SEAT = re.compile(r"dd[0-9]{1,6}(?:\.([0-9A-Za-z_-]+))?")
_SEAT_CHARACTERS = 64
_DIGEST = re.compile(r"[0-9a-f]{12}")


@lru_cache(maxsize=4096)
def project_id_of(job_uid: str) -> int:
    """Return the number of a Job: never 0, and one that JSON holds exactly everywhere."""
    digest = hashlib.sha256(f"project {job_uid}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) or 1


def file_of(volume: Volume) -> tuple[str, str]:
    """Return the namespace and the name of the file that a volume is."""
    name = _escaped(volume.i_id)
    if volume.i_version:
        name += _VERSION + _escaped(volume.i_version)
    return _escaped(volume.w_id), name


def volume_of(namespace: str, name: str) -> Volume | None:
    """Return the volume of a file; None if no volume is called that."""
    i_id, _, i_version = name.partition(_VERSION)
    parts = [_plain(part) for part in (namespace, i_id, i_version)]
    if None in parts:
        return None
    volume = Volume(*map(str, parts))
    return volume if file_of(volume) == (namespace, name) else None


def seat_name(number: int, who: str, worker: Outsider) -> str:
    """Return the name of a seat of the worker that calls itself `who`.

    It holds that, too, where the worker's name for people is another, as long as there is room.
    """
    name = f"dd{number}"
    if who == worker.name:
        return name
    named = f"{name}.{base64.urlsafe_b64encode(who.encode()).decode().rstrip('=')}"
    return named if len(named) <= _SEAT_CHARACTERS else name


def is_seat(name: str) -> bool:
    """Whether a seat is one of this face."""
    return _SEAT.fullmatch(name) is not None


def who_has(attempt: Attempt) -> str:
    """Return what the worker of an attempt calls itself; a pod's name, if it is in a pod."""
    found = _SEAT.fullmatch(seat_in(attempt.pod_uid))
    if found is None or found[1] is None:
        return attempt.pod
    try:
        return base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode()
    except (binascii.Error, ValueError):
        return attempt.pod


def worker_with(enrolment: Enrolment, attempt: Attempt) -> Outsider | None:
    """Return the worker that has an attempt; None if it did not come by this enrolment."""
    worker_id = worker_of(attempt.pod_uid)
    by, _, digest = worker_id.rpartition(".")
    if by != enrolment.name or not _DIGEST.fullmatch(digest):
        return None
    return Outsider(worker_id, attempt.pod, enrolment.name, enrolment.scope)


def _escaped(part: str) -> str:
    return "".join(chr(b) if b in _PLAIN else f"~{b:02X}" for b in part.encode())


def _plain(part: str) -> str | None:
    if not _ESCAPED.fullmatch(part):
        return None
    try:
        return unquote_to_bytes(part.replace("~", "%")).decode()
    except UnicodeDecodeError:
        return None
