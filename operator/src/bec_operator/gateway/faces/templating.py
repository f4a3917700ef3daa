"""Fills what a Job says of each volume with the ids of one: `{w_id}`, `{i_id}`, `{i_version}`."""

import re
from typing import Any

from bec_ops.contract.volume import Volume

_PLACES = re.compile(r"\{(w_id|i_id|i_version)\}")


def fill(value: Any, volume: Volume) -> Any:
    """Return JSON with the ids of a volume in all of its texts; keys and other braces stay."""
    if isinstance(value, str):
        return _PLACES.sub(lambda found: str(getattr(volume, found[1])), value)
    if isinstance(value, dict):
        return {key: fill(item, volume) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, volume) for item in value]
    return value
