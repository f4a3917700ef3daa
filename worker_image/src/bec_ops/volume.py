"""For authors of workers: what a volume is called."""

from bec_ops.contract.volume import Volume

__all__ = ["Volume"]
