"""What pydantic finds wrong, as one line that people read."""

from typing import Any

from pydantic import ValidationError


def explain(error: ValidationError, missing: str = "is missing") -> str:
    """Name each field that is wrong, its value, and why; `missing` is said of one without."""
    return "; ".join(_sentence(detail, missing) for detail in error.errors())


def _sentence(detail: Any, missing: str) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{name} {missing}"
    fault = f"={detail['input']!r}: {detail['msg']}"
    return f"{name}{fault}" if name else detail["msg"]
