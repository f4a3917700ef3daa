"""Writes the width and height of each page image of a volume, as a IIIF manifest needs them.

A worker that keeps its own loop: the four BEC ops functions, and boto3 for all else.
"""

import json
import struct
from datetime import UTC, datetime

import boto3

from bec_ops import (
    get_next_task,
    get_output_info,
    get_worker_id,
    is_successfully_done,
    task_done,
)

JOB_ID = "sizes"

s3 = boto3.client("s3")


def main() -> None:
    """Take volumes until there are no more."""
    while (task := get_next_task(JOB_ID)) is not None:
        w_id, i_id, i_version = task
        if is_successfully_done(JOB_ID, w_id, i_id):
            continue
        bucket, prefix = get_output_info(JOB_ID, w_id, i_id, i_version)
        sizes = measure_pages(bucket, f"images/{w_id}/{i_id}/")
        if not sizes:
            print(f"no page images of {w_id}/{i_id}")
            task_done(JOB_ID, w_id, i_id, i_version, "terminal")
            continue
        write(bucket, prefix + "sizes.json", sizes)
        # The marker is the last that is written.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        marker = {"worker_id": get_worker_id(), "success_timestamp": now}
        write(bucket, prefix + "success.json", marker)
        task_done(JOB_ID, w_id, i_id, i_version, "done")


def measure_pages(bucket: str, folder: str) -> dict[str, dict[str, int]]:
    """Return width and height in pixels of each PNG in a folder, by the keys of the images."""
    sizes = {}
    for listed in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
        for image in listed.get("Contents", []):
            key = image["Key"]
            if key.endswith(".png"):
                sizes[key] = measure(bucket, key)
    return sizes


def measure(bucket: str, key: str) -> dict[str, int]:
    """Return the size of a PNG: it stands in the header, so the rest need not be read."""
    answer = s3.get_object(Bucket=bucket, Key=key, Range="bytes=16-23")
    width, height = struct.unpack(">II", answer["Body"].read())
    return {"width": width, "height": height}


def write(bucket: str, key: str, content: object) -> None:
    """Write an object in JSON."""
    body = json.dumps(content, indent=1).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


if __name__ == "__main__":
    main()
