"""Which ETag stands for a version: BEC knows versions by the ETag of a volume's manifest.

It is found the same way whenever the same is told, so that there is one row a version. Where the
version is only the beginning of an ETag, the database may know the rest of it.
"""

import hashlib
import re
from typing import NamedTuple

from bec_ops.contract.volume import Volume

_DIGITS = 32  # of an ETag that is an MD5: the tables take no other
_SHOWN = 6  # digits by which BEC's tools name a folder
_WHOLE = re.compile(rf'"?([0-9a-fA-F]{{{_DIGITS}}})(?:-\d+)?"?')
_BEGINNING = re.compile(rf"[0-9a-fA-F]{{{_SHOWN},{_DIGITS}}}")
_OWN_SOURCE = "bdrc"


class Etag(NamedTuple):
    """The ETag of a version in hex digits.

    `whole` is what is known of it; empty if the tables are to be asked for one that begins with
    `begins`. `guess` stands for it where they have none, and may be replaced once it is known.
    """

    whole: str
    begins: str
    guess: str


def etag_of(volume: Volume, made: str | None) -> Etag:
    """Return the ETag of a volume's version; `made` is that of its success marker.

    The marker's counts where it can be that of this version. Else one volume would have two rows,
    as nothing is known of the marker while the volume is worked on.
    """
    source, _, _ = volume.w_id.rpartition(":")
    version = volume.i_version.lower()
    is_beginning = _BEGINNING.fullmatch(version) is not None
    if source or (version and not is_beginning):
        whole = _of_names(volume)
        return Etag(whole, "", whole)
    guess = version.ljust(_DIGITS, "0") if version else _of_names(volume)
    if len(version) == _DIGITS:
        return Etag(version, "", version)
    found = _WHOLE.fullmatch(made) if made else None
    if found is not None and found[1].lower().startswith(version):
        return Etag(found[1].lower(), version, guess)
    return Etag("", version, guess)


def _of_names(volume: Volume) -> str:
    """Return what BEC takes for an ETag where there is no manifest."""
    source, _, w_id = volume.w_id.rpartition(":")
    named = f"{source or _OWN_SOURCE}|{w_id}|{volume.i_id}|{volume.i_version}"
    return hashlib.md5(named.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
