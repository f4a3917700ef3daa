"""Pods as a real kubelet left them, with their Events: `tests/fixtures/pod_statuses` has them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.kube import Body

_FOLDER = Path(__file__).parents[1] / "fixtures" / "pod_statuses"
NAMES = sorted(file.stem for file in _FOLDER.glob("*.json"))
"""What was recorded: each is named after what was done to the pod."""


@dataclass(frozen=True)
class Recorded:
    """One pod at one moment; `source` says from which kubelet, and how it was made."""

    source: Body
    pod: Body
    events: list[Body]

    @classmethod
    def read(cls, name: str, **labels: str) -> Self:
        """Read the recording `name`, one of `NAMES`, and put these labels on the pod."""
        found = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        found["pod"]["metadata"]["labels"] |= labels
        return cls(found["from"], found["pod"], found["events"])
