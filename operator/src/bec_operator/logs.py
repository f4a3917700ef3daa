"""Structured logs: one JSON object a line, or plain text for people."""

import logging

from pythonjsonlogger.json import JsonFormatter

from bec_operator.settings import Settings

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


def set_up_logs(settings: Settings) -> None:
    """Send the logs of all parts to standard error, in the format of the settings."""
    handler = logging.StreamHandler()
    if settings.log_format == "json":
        handler.setFormatter(
            JsonFormatter(_FIELDS, rename_fields={"asctime": "time", "levelname": "level"})
        )
    else:
        handler.setFormatter(logging.Formatter(_FIELDS))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf", "botocore", "aiohttp", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
