"""Python environments of their own, for programs whose packages are at odds with ours."""

import hashlib
import logging
import shutil
from pathlib import Path

from .binaries import packaged
from .cache import cache, locked
from .programs import run_to_end

log = logging.getLogger(__name__)

_REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def environment(name: str) -> Path:
    """Give the programs of `requirements/NAME.txt`: a folder, made once, and again for other pins.

    Only what has one of the hashes that stand there gets into it.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache() / "environments" / f"{name}-{digest}"
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            log.info("installing %s, once", name)
            made = draft(folder)
            uv, python = str(packaged("uv")), str(packaged("python"))
            run_to_end(uv, "venv", "--quiet", "--relocatable", "--python", python, str(made))
            pip = (uv, "pip", "install", "--quiet", "--python", str(made / "bin" / "python"))
            run_to_end(*pip, "--require-hashes", "-r", str(requirements))
            made.rename(folder)
    return folder / "bin"


def draft(folder: Path) -> Path:
    """Make an empty folder beside the one that is wanted; it is renamed when all is in it."""
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made
