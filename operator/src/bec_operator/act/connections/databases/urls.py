"""URLs of databases, as they stand in a Secret: which can be used, and what nobody is told."""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from sqlalchemy import URL

# Strict, as what is read otherwise than it was meant puts half a password where a host stands.
_PART, _REST = (rf"(?:[^{no}%\s]|%[0-9A-Fa-f]{{2}})*" for no in ("@/?#", "@#"))
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^@/?#%\s,:\[\]]*)(?::\d*)?"
_URL = re.compile(
    rf"(?P<scheme>[a-z]+)://(?:(?P<user>{_PART})@)?{_HOST}(?:,{_HOST})*(?:[/?]{_REST})?"
)
_PASSWORD_PARAMETER = re.compile(r"[?&](?:ssl)?password=([^&]*)")
_UNREADABLE = (
    "it cannot be read; write scheme://user:password@host:port/database, and in a password %40 for "
    "@, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %"
)
_LEAST_SECRET = 3  # characters: less stands in any sentence, and taking it out would tell it


class UrlError(ValueError):
    """A URL that cannot be used; the message repeats nothing of it, as it holds a password."""


def scheme_of(url: str) -> str:
    """Return what a URL begins with; raises UrlError if it cannot be read in one way only."""
    found = _URL.fullmatch(url)
    if found is None:
        raise UrlError(_UNREADABLE)
    return found["scheme"]


def parsed(url: str) -> "URL":
    """Return the parts of a URL; raises UrlError."""
    from sqlalchemy import make_url  # noqa: PLC0415 - who asks no database does not pay for it
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return make_url(url)
    except (ValueError, ArgumentError):
        raise UrlError(_UNREADABLE) from None


def masked(said: str, url: str) -> str:
    """Return what a server says without the passwords of the URL, should it repeat them."""
    found = _URL.fullmatch(url)
    _, _, secret = ((found and found["user"]) or "").partition(":")
    for each in (secret, *_PASSWORD_PARAMETER.findall(url)):
        for written in (each, unquote(each)):
            if len(written) >= _LEAST_SECRET:
                said = said.replace(written, "…")
    return said
