"""Judges what stands in S3 by the script's own journal, with no help of the code that is judged."""

import hashlib
from pathlib import Path

from mypy_boto3_s3 import S3Client

MARKER = "success.json"
LOGS = "_logs/"


def journal(file: Path) -> dict[str, str]:
    """Return the digests of what a script says that it has finished and left."""
    parts = file.read_bytes().split(b"\0")[:-1] if file.exists() else []
    found: dict[str, str] = {}
    for digest, name in zip(parts[::2], parts[1::2], strict=True):
        key = name.decode(errors="surrogateescape")
        if digest == b"gone":
            found.pop(key, None)
        else:
            found[key] = digest.decode()
    return found


def stored(client: S3Client, bucket: str, prefix: str) -> dict[str, str]:
    """Return the digests of what S3 has."""
    found: dict[str, str] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"]
            digest = hashlib.sha256()
            for chunk in body.iter_chunks(1 << 20):
                digest.update(chunk)
            found[item["Key"].removeprefix(prefix)] = digest.hexdigest()
    return found


def faults(finished: dict[str, str], there: dict[str, str], *, must: bool, may: bool) -> list[str]:
    """Return what is wrong, where a marker must stand, or may, or neither."""
    if MARKER not in there:
        return ["there is no marker, and nothing in the script is a reason"] if must else []
    artefacts = {name: digest for name, digest in there.items() if not _ours(name)}
    wrong = [] if may else ["there is a marker over what is a reason to fail"]
    wrong += [f"{name!r} is missing" for name in finished.keys() - artefacts.keys()]
    wrong += [
        f"{name!r} is there, and was not finished" for name in artefacts.keys() - finished.keys()
    ]
    wrong += [
        f"{name!r} is not what was written"
        for name in artefacts.keys() & finished.keys()
        if artefacts[name] != finished[name]
    ]
    return wrong


def _ours(name: str) -> bool:
    return name == MARKER or name.startswith(LOGS)
