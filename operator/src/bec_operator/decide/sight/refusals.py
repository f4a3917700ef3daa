"""What the API server and S3 say when they refuse."""

STORAGE_FORBIDDEN = "StorageForbidden"
"""The reason of what S3 lets us not look at."""

MARKER_ARCHIVED = "MarkerArchived"
"""The reason of a marker that stands, and has to be restored before anybody can read it."""

MARKER_UNANSWERED = "MarkerUnanswered"
"""The reason of a marker of which S3 tells nothing, while it tells of others."""

OF_ONE_KEY = frozenset({STORAGE_FORBIDDEN, MARKER_ARCHIVED, MARKER_UNANSWERED})
"""What S3 says of a marker that says nothing of the others, and may stay so for good."""

TEMPLATE_REJECTED = "TemplateRejected"
"""The reason of a template of which no pod can be made."""

_QUOTA = ("exceeded quota", "status unknown for quota")
_FINAL = ("is forbidden", "is invalid", "denied the request")


def is_over_quota(message: str) -> bool:
    """Whether a ResourceQuota has no room, or does not yet know: no fault of what was asked for."""
    return any(words in message for words in _QUOTA)


def is_rejection(message: str) -> bool:
    """Whether an object was refused for what it says, as told by somebody else whom it was told."""
    return not is_over_quota(message) and any(words in message for words in _FINAL)
