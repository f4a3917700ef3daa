"""A worker of Data Dispatcher by its Python API. It knows nothing of Kubernetes or of volumes.

    python worker.py PROJECT SITE PROGRAM [ARGUMENT…]

PROGRAM gets the URL of each file as its last argument. If it ends with 0 the file is done; with 75
it is tried again later, and with anything else it has failed for good.
"""

import subprocess
import sys
from typing import Any

from data_dispatcher.api import DataDispatcherClient  # type: ignore[import-not-found]

TIMEOUT = 60  # seconds that we wait for a file before we look around
TRY_LATER = 75


def main(project_id: int, cpu_site: str, program: list[str]) -> None:
    """Work until the project is over. Server, login and worker id are found as `ddisp` does."""
    client = DataDispatcherClient(cpu_site=cpu_site)
    while True:
        result = client.next_file(project_id, timeout=TIMEOUT, stagger=1)
        if isinstance(result, dict):
            process(client, project_id, result, program)
        elif result:
            print("no file within the time, but the project is not over yet")
        else:
            print("the project is over")
            return


def process(client: Any, project_id: int, file: dict[str, Any], program: list[str]) -> None:
    """Work on a file that is reserved, and say what became of it."""
    did = f"{file['namespace']}:{file['name']}"
    replica = min(file["replicas"].values(), key=lambda r: r["preference"])
    code = subprocess.run([*program, replica["url"]], check=False).returncode
    if code == 0:
        client.file_done(project_id, did)
    else:
        client.file_failed(project_id, did, retry=code == TRY_LATER)
    print(f"{did} ended with {code}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
