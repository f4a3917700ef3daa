"""For authors of workers: S3, as the library itself talks to it."""

from bec_ops.contract.s3.errors import StoreError
from bec_ops.contract.s3.store import Store

__all__ = ["Store", "StoreError"]
