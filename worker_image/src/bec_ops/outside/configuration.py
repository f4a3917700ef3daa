"""Where a worker's configuration comes from: files, the environment, arguments, in that order.

Each key remembers who said it last, for people who wonder and for what is said of a wrong one.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.outside.keys import HIDDEN, Keys

PREFIX = "BEC_WORKER_"
"""How the variables begin that set a key, such as `BEC_WORKER_SITE`."""
DEFAULT = "default"
_NO_KEY = {"BEC_WORKER_ID"}  # a pod's name for itself
_LARGEST_FILE = 64 * 1024
_SHOWN = 80  # characters of a wrong value


def usual_files() -> tuple[Path, ...]:
    """Return the files that are looked for; what a later one says counts."""
    own = Path("~/.config/bec/worker.toml").expanduser()
    return (Path("/etc/bec/worker.toml"), Path("bec-worker.toml"), own)


@dataclass(frozen=True)
class Configuration:
    """All keys, and for each where its value comes from."""

    keys: Keys
    sources: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return each key, its value as people may see it, and who said it."""
        return [
            (key, _as_text(value), self.sources.get(key, DEFAULT))
            for key, value in self.keys.shown().items()
        ]


def read_configuration(
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    files: Iterable[Path] | None = None,
) -> Configuration:
    """Put together what all say; raises MisconfiguredError with what is wrong, and where.

    Of the arguments those count that are neither None nor empty.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    layers = [_read_file(file) for file in (usual_files() if files is None else files)]
    layers += [_read_variables(environ), _read_arguments(arguments or {})]
    for layer in layers:
        for key, (value, source) in layer.items():
            values[key], sources[key] = value, source
    try:
        return Configuration(Keys.model_validate(values), sources)
    except ValidationError as error:
        wrong = "; ".join(_sentence(detail, sources) for detail in error.errors())
        raise MisconfiguredError(wrong) from None


_Layer = dict[str, tuple[Any, str]]


def _read_file(file: Path) -> _Layer:
    """Read one file, which need not be there."""
    try:
        with file.open("rb") as source:
            raw = source.read(_LARGEST_FILE + 1)
            mode = os.fstat(source.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise MisconfiguredError(f"{file} cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST_FILE:
        raise MisconfiguredError(f"{file} is larger than 64 KiB: that is no configuration")
    try:
        text = raw.decode()
        found = tomllib.loads(text)
    except UnicodeDecodeError:
        raise MisconfiguredError(f"{file} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MisconfiguredError(f"{file} is not TOML: {error}") from None
    layer = {key: (value, f"{file}, line {_line(text, key)}") for key, value in found.items()}
    for key in layer:
        _check_known(key, layer[key][1])
    if HIDDEN & layer.keys() and mode & 0o077:
        raise MisconfiguredError(f"{file} has a token, and others can read it: chmod 600 {file}")
    return layer


def _read_variables(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for name, text in environ.items():
        if name.startswith(PREFIX) and text and name not in _NO_KEY:
            key = name.removeprefix(PREFIX).lower()
            _check_known(key, f"the variable {name}")
            layer[key] = text, f"the variable {name}"
    return layer


def _read_arguments(arguments: Mapping[str, Any]) -> _Layer:
    return {
        key: (value, f"the argument --{key.replace('_', '-')}")
        for key, value in arguments.items()
        if value not in (None, "", [], ())
    }


def _check_known(key: str, source: str) -> None:
    if key not in Keys.model_fields:
        known = ", ".join(Keys.model_fields)
        raise MisconfiguredError(
            f"{source}: there is no key {key[:_SHOWN]!r}; write one of {known}"
        )


def _line(text: str, key: str) -> int:
    """Return the line in which a key of a file is set, or the table of that name begins."""
    begin = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[.=\]]""")
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if begin.match(line)), 1)


def _sentence(detail: Any, sources: Mapping[str, str]) -> str:
    """Say what is wrong with a key, its value, and why; a secret is not repeated."""
    key = str(detail["loc"][0])
    said = "" if key in HIDDEN else f" = {_short(repr(detail['input']))}"
    why = str(detail["msg"]).removeprefix("Value error, ")
    if key == "url" and "password" in why:
        said = ""
    return f"{sources.get(key, DEFAULT)}: {key}{said}: {why}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
