"""The loop of a Flamenco Worker, as one that was written for a Manager has it: it knows no BEC.

    python worker.py http://manager:8083 id-file task-type…

The registration secret is in FLAMENCO_SECRET. It ends when it is told to, by SIGTERM or SIGINT.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TIMEOUT = 3.0  # seconds for each request
IDLE, DONE, AGAIN = 5.0, 3.0, 10.0  # seconds until the next task is asked for
POLL = 0.2


class Manager:
    """Where tasks come from."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.login = ""

    def call(self, verb: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make a request, and return the status and what came back; status 0: nothing came."""
        sent = b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, sent if verb == "POST" else None, method=verb
        )
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", self.login)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, None
        except OSError:
            return 0, None

    def come_in(self, home: Path, types: list[str]) -> None:
        """Register, or sign on as who registered before."""
        about = {"supported_task_types": types, "nickname": socket.gethostname()}
        if home.exists():
            worker_id, secret = home.read_text().split()
            self.login = basic(worker_id, secret)
            if self.call("POST", "/sign-on", about)[0] != 401:
                return
        secret = secrets.token_hex(32)
        self.login = f"Bearer {jwt(os.environ['FLAMENCO_SECRET'])}"
        about["secret"], about["platform"] = secret, "linux"
        status, answer = self.call("POST", "/register-worker", about)
        if status != 200:
            sys.exit(f"the Manager does not take us in: {status}")
        home.write_text(f"{answer['_id']} {secret}")
        home.chmod(0o600)
        self.login = basic(answer["_id"], secret)


class Worker:
    """Does one task after the other."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.ending = threading.Event()

    def run(self) -> None:
        """Work until it is told to end."""
        while not self.ending.is_set():
            status, task = self.manager.call("POST", "/task")
            if status == 200:
                self.do(task)
            self.ending.wait({200: DONE, 204: IDLE}.get(status, AGAIN))
        self.manager.call("POST", "/sign-off")

    def do(self, task: dict[str, Any]) -> None:
        """Do a task, command by command, and tell how it ends."""
        self.tell(task, task_status="active")
        for number, command in enumerate(task["commands"]):
            ended, log = self.execute(task, command["name"], command["settings"])
            if ended != "completed":
                if ended == "stopped":
                    self.tell(task, log=stamped(log))
                    self.manager.call("POST", f"/tasks/{task['_id']}/return")
                elif not self.ending.is_set():
                    self.tell(task, task_status=ended, log=stamped(log))
                return
            self.tell(task, task_status="active", log=stamped(log), current_command_idx=number,
                      command_progress_percentage=100)  # fmt: skip
        self.tell(task, task_status="completed", activity="Task completed")

    def execute(self, task: dict[str, Any], name: str, settings: dict[str, Any]) -> tuple[str, str]:
        """Run a command, as long as it may; return how it ended, and what it printed."""
        if name == "echo":
            return "completed", settings["message"]
        if name != "exec":
            return "failed", f"there is no command {name}"
        process = subprocess.Popen(
            shlex.split(settings["cmd"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        asked = time.monotonic()
        while process.poll() is None:
            if self.ending.wait(POLL):
                process.terminate()
                break
            if time.monotonic() - asked >= IDLE:
                asked = time.monotonic()
                _, may = self.manager.call("GET", f"/may-i-run/{task['_id']}")
                if may is not None and not may["may_keep_running"]:
                    process.terminate()
                    return "stopped", process.communicate()[0]
        log, _ = process.communicate()
        return ("completed" if process.returncode == 0 else "failed"), log

    def tell(self, task: dict[str, Any], **update: Any) -> None:
        """Tell of a task, again and again until the Manager has heard it."""
        while True:
            status, _ = self.manager.call("POST", f"/tasks/{task['_id']}/update", update)
            if 200 <= status < 300 or status in {404, 409} or self.ending.wait(IDLE):
                return


def stamped(log: str) -> str:
    """Write the time before each line."""
    now = datetime.now(UTC).isoformat()
    return "\n".join(f"{now}: {line}" for line in log.splitlines())


def basic(worker_id: str, secret: str) -> str:
    """Return how a worker says who it is."""
    return "Basic " + base64.b64encode(f"{worker_id}:{secret}".encode()).decode()


def jwt(secret: str) -> str:
    """Sign a registration."""
    now = time.time()
    parts = {"alg": "HS256", "typ": "JWT"}, {"exp": now + 900, "iat": now}
    said = b".".join(unpadded(json.dumps(part).encode()) for part in parts)
    return (said + b"." + unpadded(hmac.digest(secret.encode(), said, hashlib.sha256))).decode()


def unpadded(raw: bytes) -> bytes:
    """Return base64 as a JWT has it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def main() -> None:
    """Work for a Manager."""
    url, home, *types = sys.argv[1:]
    manager = Manager(url)
    manager.come_in(Path(home), types)
    worker = Worker(manager)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.ending.set())
    worker.run()


if __name__ == "__main__":
    main()
