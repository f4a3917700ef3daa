"""A scheduler client: starts a volume of a Job, and asks how it goes until it is done.

python client.py 127.0.0.1:50000 scans W1/I1
"""

import sys
import time
from typing import Any

import grpc

from bec_ops.contract import jobscheduler_pb2 as wire


def call(address: str, name: str, request: Any, kind: Any) -> Any:
    """Call a worker as existing schedulers do: anew each time, and with a second for the answer."""
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            f"/jobscheduler.Worker/{name}",
            type(request).SerializeToString,
            kind.FromString,
        )
        return method(request, timeout=1)


def main() -> int:
    """Return 0 once the volume is done, 1 if it failed."""
    address, job, volume = sys.argv[1:]
    started = call(
        address, "StartJob", wire.StartJobReq(command=job, path=volume), wire.StartJobRes
    )
    job_id = started.jobID
    while True:
        found = call(address, "QueryJob", wire.QueryJobReq(jobID=job_id), wire.QueryJobRes)
        if found.done:
            print(f"{volume}: {found.errorText or 'done'}")
            return int(found.error)
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
