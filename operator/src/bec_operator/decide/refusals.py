"""What the API server and S3 say when they refuse."""

STORAGE_FORBIDDEN = "StorageForbidden"
"""The reason of what S3 lets us not look at."""


def is_over_quota(message: str) -> bool:
    """Whether a ResourceQuota is full: no fault of what was asked for."""
    return "exceeded quota" in message
