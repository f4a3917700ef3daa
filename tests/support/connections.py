"""Connections that an operator under test is told of, with their Secrets as they are mounted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Mounted:
    """A folder with what the Secrets of some connections hold. `settings` are for the operator."""

    def __init__(self, folder: Path, **connections: Mapping[str, Any]) -> None:
        self._folder = folder
        known = [{"name": name, "namespaces": ["*"], **how} for name, how in connections.items()]
        self.settings = {"connections": json.dumps(known), "connections_folder": folder}

    def put(self, name: str, **secret: str) -> None:
        """Let a Secret hold these, and nothing else."""
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for key, value in secret.items():
            (folder / key).write_text(value)
