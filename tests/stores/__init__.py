"""Other S3 servers, real ones: what the store and sweep suite runs against in `make stores`."""

from .running import running
from .servers import SERVERS, StoreServer, Trait, chosen

__all__ = ["SERVERS", "StoreServer", "Trait", "chosen", "running"]
