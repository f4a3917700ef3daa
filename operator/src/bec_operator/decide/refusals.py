"""What the API server says when it refuses an object."""


def is_over_quota(message: str) -> bool:
    """Whether a ResourceQuota is full: no fault of what was asked for."""
    return "exceeded quota" in message
