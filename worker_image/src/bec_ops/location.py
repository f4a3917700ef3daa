"""For authors of workers: where outputs are, and how an id is written in a key."""

from bec_ops.contract.location import OutputTemplate, escape

__all__ = ["OutputTemplate", "escape"]
