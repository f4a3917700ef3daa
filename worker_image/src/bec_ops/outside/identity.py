"""Who this worker is: the id and secret that it got when it registered, kept in its state folder.

Nobody but its owner may read them: a folder or file that others can read is not used. The secret
goes to the operator that it was made for, whatever address a configuration found later names.
"""

import json
import os
import secrets
import stat
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bec_ops.contract.errors import MisconfiguredError

_FILE, _DRAFT = "identity.json", "registering.json"
_LARGEST = 64 * 1024


class Identity(BaseModel):
    """A worker as its operator at `url` knows it; without an id it has asked, and heard nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    worker_id: str = ""
    secret: str = Field(repr=False, min_length=43, max_length=128)
    name: str = ""
    ca: Path | None = None


class StateFolder:
    """What a worker keeps on its machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """See that it is there and nobody else's; raises MisconfiguredError if that cannot be."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MisconfiguredError(
                f"the state folder {self.path} cannot be made: {error.strerror}; give another one "
                "by the key state"
            ) from None
        _check_private(self.path, "700")

    def identity(self) -> Identity | None:
        """Return who this worker is; None if it has not registered."""
        found = self._read(_FILE)
        return found if found is not None and found.worker_id else None

    def require_identity(self, url: str = "") -> Identity:
        """Return who this worker is for the operator at `url`; raises MisconfiguredError if none.

        Without an address it is the operator that it has registered with.
        """
        found = self.identity()
        if found is None:
            raise MisconfiguredError(
                f"this worker is not registered ({self.path} has no {_FILE}): bec-worker register "
                "--url https://… --token-file FILE"
            )
        if url and url != found.url:
            raise MisconfiguredError(
                f"this worker is registered with {found.url}, and its configuration says {url}: "
                "correct that, or use bec-worker register --again"
            )
        return found

    def begin(self, url: str, name: str, ca: Path | None) -> Identity:
        """Make up a secret, or take that of an earlier try at this operator that got no answer."""
        self.make()
        before = self._read(_DRAFT)
        if before is not None and before.url == url:
            return before.model_copy(update={"name": name, "ca": ca})
        made = Identity(url=url, secret=secrets.token_urlsafe(48), name=name, ca=ca)
        self._write(_DRAFT, made)
        return made

    def keep(self, identity: Identity) -> None:
        """Keep who this worker is from now on."""
        self._write(_FILE, identity)
        self.drop_draft()

    def drop_draft(self) -> None:
        """Forget a try that was refused: the next one has a secret of its own."""
        (self.path / _DRAFT).unlink(missing_ok=True)

    def _read(self, name: str) -> Identity | None:
        file = self.path / name
        try:
            if not file.exists():
                return None
            _check_private(self.path, "700")
            _check_private(file, "600")
            with file.open("rb") as source:
                return Identity.model_validate_json(source.read(_LARGEST))
        except OSError as error:
            raise MisconfiguredError(f"{file} cannot be read: {error.strerror}") from None
        except ValidationError:  # its text would repeat the secret
            raise MisconfiguredError(
                f"{file} is not as it was written: remove it, and use bec-worker register"
            ) from None

    def _write(self, name: str, identity: Identity) -> None:
        """Write a file whole or not at all, which only its owner can read from its begin."""
        text = json.dumps(identity.model_dump(mode="json"), indent=1)
        try:
            number, draft = tempfile.mkstemp(prefix=f".{name}-", dir=self.path)  # of mode 600
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(number)
            Path(draft).replace(self.path / name)
            _sync(self.path)
        except OSError as error:
            raise MisconfiguredError(
                f"{self.path / name} cannot be written: {error.strerror}"
            ) from None


def _check_private(path: Path, mode: str) -> None:
    """Raise MisconfiguredError if somebody else could read or change what is there."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise MisconfiguredError(
            f"{path} belongs to another user, who could read the secret: give a folder of your own "
            "by the key state"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise MisconfiguredError(
            f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):o}): "
            f"chmod {mode} {path}"
        )


def _sync(folder: Path) -> None:
    """Have the name of a new file survive a crash of the machine."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
