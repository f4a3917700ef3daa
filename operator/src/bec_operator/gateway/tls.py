"""The certificate of the gateway, which is renewed while it serves."""

import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key, in files that somebody replaces, such as cert-manager.

    `context` is what connections are made with; `renew` reads the files again if they have changed.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._files = (cert, key)
        self._seen = self._stamp()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(cert, key)

    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Return certificate and key as they stand now, and those who vouch for others, if any."""
        cert, key = self._files
        authority = cert.with_name("ca.crt")
        return cert.read_bytes(), key.read_bytes(), _read(authority)

    def renew(self) -> None:
        """Take in a new certificate, if there is one. One that cannot be read is left for later."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning("the certificate of the gateway cannot be read, so the old one stays: %s",
                        type(error).__name__)  # fmt: skip
            return
        self._seen = stamp
        log.info("the gateway has a new certificate")

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """Return what differs once a file does: a Secret's are links, which are replaced."""
        found = [file.stat() for file in self._files]
        return tuple((each.st_mtime_ns, each.st_ino) for each in found)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
