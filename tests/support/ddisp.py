"""The clients of Data Dispatcher as they are installed by people: `ddisp`, and scripts with it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.environments import environment

NEW, OLD = "data-dispatcher", "data-dispatcher-1"
"""Version 2.0.3 of its client, and 1.27.0; each is a file of requirements."""
_SECONDS = 60.0


def install() -> None:
    """Bring both clients into the cache."""
    for client in (NEW, OLD):
        environment(client)


@dataclass(frozen=True)
class Ddisp:
    """A worker on a machine: its home, which is also where it works, and the server it knows."""

    client: str
    url: str
    home: Path
    ca: Path | None = None

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program of the client's environment, `ddisp` or `python`."""
        inherited = {n: v for n, v in os.environ.items() if not n.lower().endswith("_proxy")}
        inherited.pop("PYTHONPATH", None)
        urls = {"DATA_DISPATCHER_URL": self.url, "DATA_DISPATCHER_AUTH_URL": self.url}
        trust = {"REQUESTS_CA_BUNDLE": str(self.ca)} if self.ca is not None else {}
        bin_folder = environment(self.client)
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [bin_folder / program, *arguments],
            cwd=self.home,
            env={**inherited, **urls, **trust, "HOME": str(self.home), "PATH": path},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # without a terminal it reads the password from its input
        )

    def __call__(self, *arguments: str, program: str = "ddisp", input: str = "") -> "Ran":  # noqa: A002
        """Run a program to its end."""
        return ended(self.start(program, *arguments), input)

    def script(self, text: str) -> "Ran":
        """Run a Python script that has a `client`, which works as the one of people does."""
        return self("-c", f"{_CLIENT}{text}", program="python")

    def log_in(self, name: str, token: str) -> None:
        """Log in by password."""
        ran = self("login", "-m", "password", name, input=f"{token}\n")
        assert ran.code == 0, ran


_CLIENT = """
import os
from data_dispatcher.api import DataDispatcherClient
client = DataDispatcherClient()
"""


@dataclass(frozen=True)
class Ran:
    """What a program has printed, and its exit code."""

    code: int
    out: str
    err: str


def ended(process: subprocess.Popen[str], input: str = "") -> Ran:  # noqa: A002
    """Wait for the end of a program."""
    try:
        out, err = process.communicate(input, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)
