"""The operator as a child process, as it would run in its container."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import S3
from tests.support.ports import free_ports
from tests.support.waiting import until

_TAIL = 40  # lines of the log that go into a failure
_START = 180.0  # seconds: a start loads much, and the machine may be busy
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Operator:
    """One operator; as a context it runs, and at the end it stops and must have nothing broken.

    `settings` are those of the operator in lower case without their prefix, such as
    `namespaces="a,b"`. The log of all its lives is in `log`.
    """

    def __init__(self, kubeconfig: Path, s3: S3, log: Path, **settings: object) -> None:
        self.log = log
        self.outside_port = settings.get("outside_port")
        self.worker_port, self.health_port, self.metrics_port = free_ports(3)
        own = {
            "log_format": "plain",
            "worker_port": self.worker_port,
            "health_port": self.health_port,
            "metrics_port": self.metrics_port,
            "marker_seconds": 2,  # our S3 shows at once what was written
            **settings,
        }
        self._environment = {
            **_inherited(os.environ),
            **s3.environment(),
            **{f"BEC_OPERATOR_{name.upper()}": str(value) for name, value in own.items()},
            "KUBECONFIG": str(kubeconfig),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def of_checkout(self, checkout: Path | None) -> Self:
        """Let it run the code of another checkout from its next start on; None: that of ours."""
        if checkout is not None:
            self._environment["PYTHONPATH"] = sources(checkout)
        return self

    def start(self) -> None:
        """Start it, and return once it serves."""
        program = Path(sys.executable).with_name("bec-operator")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._serves, "the operator serves /healthz", timeout=_START)

    def stop(self) -> None:
        """Ask it to end, and see that it does in good order."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the operator did not stop on SIGTERM. {self.tail()}") from None
        self._process = None
        assert code == 0, f"the operator ended with {code}. {self.tail()}"

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def wait_ended(self, timeout: float) -> int:
        """Return its exit code once it has ended by itself."""
        assert self._process is not None
        code = self._process.wait(timeout)
        self._process = None
        return code

    @property
    def worker_url(self) -> str:
        """Where workers reach it."""
        return f"http://127.0.0.1:{self.worker_port}"

    @property
    def outside_url(self) -> str:
        """Where workers from elsewhere reach it, if they may."""
        return f"https://127.0.0.1:{self.outside_port}"

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def health(self) -> int:
        """Return the status of /healthz; 0 if nobody answers."""
        return _status(f"http://127.0.0.1:{self.health_port}/healthz")

    def metrics(self) -> str:
        """Return /metrics."""
        with _OPENER.open(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """Return the log's end, for a failure."""
        lines = self.text().splitlines()[-_TAIL:]
        return "\n".join([f"Its log {self.log} ends:", *lines])

    def check_nothing_broke(self) -> None:
        """See that no action met an error that nobody thought of."""
        assert "Traceback" not in self.text(), f"something broke in the operator. {self.tail()}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.kill()
            return
        self.stop()
        self.check_nothing_broke()

    def _serves(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise AssertionError(f"the operator ended at once with {code}. {self.tail()}")
        return self.health() == 200


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process needs of ours, and nothing that would set it up in secret."""
    secretive = ("AWS_", "BEC_OPERATOR_", "KUBECONFIG")
    return {name: value for name, value in environment.items() if not name.startswith(secretive)}


def sources(checkout: Path) -> str:
    """Return the path by which Python finds the operator of a checkout before any other."""
    folders = [checkout.resolve() / part / "src" for part in ("operator", "worker_image")]
    for folder in folders:
        assert folder.is_dir(), f"{folder} is missing: name a checkout of this repository"
    return os.pathsep.join(map(str, folders))


def _status(url: str) -> int:
    try:
        with _OPENER.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
