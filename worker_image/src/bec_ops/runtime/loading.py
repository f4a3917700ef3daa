"""Imports the module or file with an image's handlers."""

import importlib
import importlib.util
import sys
from pathlib import Path

from bec_ops.contract.errors import MisconfiguredError


def load(where: str) -> None:
    """Import a module by its name, or a file by its path, ending in `.py`.

    Raises MisconfiguredError if it is not there or cannot be imported: the image is the same for
    every volume. What else goes wrong in it is passed on.
    """
    try:
        if where.endswith(".py"):
            _load_file(Path(where))
        else:
            sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
            importlib.import_module(where)
    except (ImportError, SyntaxError) as error:
        raise MisconfiguredError(f"{where} cannot be imported: {error}") from error


def _load_file(file: Path) -> None:
    if not file.is_file():
        raise MisconfiguredError(f"{file} is not there: give a file with handlers, or a module")
    sys.path.insert(0, str(file.resolve().parent))  # as `python FILE` does
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # pydantic and pickle look there
    spec.loader.exec_module(module)
