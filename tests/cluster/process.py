"""Processes that outlive their starter: recorded in files, found again, and ended by id."""

import os
import select
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from .cache import replace
from .errors import ClusterError

_MARK = "BEC_CLUSTER_HOME"  # in the environment of whatever a cluster's processes start
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Spec(BaseModel, frozen=True):
    """How to start a process; kept in its record, so that another launcher can start it again."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    network: Path | None = None  # the network namespace to run in
    ready: tuple[str, ...] = ()  # addresses that all answer 200 once the process does its work
    authority: Path | None = None  # who signs the certificate of these addresses


class Running(BaseModel, frozen=True):
    """A process id, and the time of its start in clock ticks, since ids are used again."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Running | None":
        """Look at the process `pid`; None if there is none, or only a zombie of it."""
        try:
            # The command's name, in parentheses, may itself hold blanks and parentheses.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid=pid, started=int(fields[19]))

    def alive(self) -> bool:
        """Say whether the very same process still runs."""
        return Running.of(self.pid) == self


class _Record(BaseModel):
    spec: Spec
    running: Running | None = None


class Process:
    """One component of a cluster."""

    def __init__(self, home: Path, spec: Spec) -> None:
        self.spec = spec
        self.log = home / "logs" / f"{spec.name}.log"
        self._home = home
        self._file = home / "processes" / f"{spec.name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None while it does not run."""
        running = self._running()
        return running.pid if running else None

    def start(self) -> None:
        """Start it if it does not run; its output is added to its log."""
        if self.pid:
            return
        enter = ("nsenter", f"--net={self.spec.network}", "--") if self.spec.network else ()
        self._write(None)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                (*enter, *self.spec.argv),
                cwd=self._home,
                env={
                    "PATH": _PATH,
                    "HOME": str(self._home),
                    _MARK: str(self._home),
                    **self.spec.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt of the launcher is not meant for it
            )
        self._write(Running.of(self._child.pid))

    def wait_ready(self, seconds: float = 60) -> None:
        """Return once it answers at its addresses; raise with its last words if it does not."""
        deadline = time.monotonic() + seconds
        for url in self.spec.ready:
            while (answer := _ask(url, self.spec.authority)) != "200":
                if not self.pid:
                    raise ClusterError(f"{self.spec.name} has ended. {self._last_words()}")
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"{self.spec.name} is not ready after {seconds:.0f} s: {url} answers "
                        f"{answer}. {self._last_words()}"
                    )
                time.sleep(0.05)

    def stop(self, grace: float = 20) -> None:
        """Ask it to end, and after `grace` seconds end it."""
        self._end(signal.SIGTERM, grace)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL, 20)

    def restart(self) -> None:
        """Stop it if it runs, start it, and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready()

    def _end(self, number: signal.Signals, seconds: float) -> None:
        running = self._running()
        if running:
            end([running], number, seconds)
        if self._child:
            self._child.poll()  # lets the kernel forget a child of ours

    def _running(self) -> Running | None:
        try:
            running = _Record.model_validate_json(self._file.read_text()).running
        except FileNotFoundError:
            return None
        return running if running and running.alive() else None

    def _write(self, running: Running | None) -> None:
        replace(self._file, _Record(spec=self.spec, running=running).model_dump_json(indent=1))

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"Its log {self.log} ends:", *lines])


def recorded(home: Path) -> dict[str, Process]:
    """Find the processes of a cluster from their records, by name."""
    records = sorted((home / "processes").glob("[!.]*.json"))
    specs = [_Record.model_validate_json(file.read_text()).spec for file in records]
    return {spec.name: Process(home, spec) for spec in specs}


def marked(home: Path) -> list[Running]:
    """Find what the cluster's processes started, or a launcher that died before it could record."""
    mark = f"{_MARK}={home}".encode()
    return [
        running
        for pid, environment in _environments()
        if mark in environment and (running := Running.of(pid))
    ]


def end(processes: list[Running], number: signal.Signals, seconds: float) -> None:
    """Send a signal to processes, and wait for their end for so long at most."""
    deadline = time.monotonic() + seconds
    handles = []
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        handles.append(handle)
        # Looked at after the handle is open: from here on the id cannot be another process's.
        if process.alive():
            signal.pidfd_send_signal(handle, number)
    for handle in handles:
        select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        os.close(handle)


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield int(folder.name), (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile, or another user's
            continue


def _ask(url: str, authority: Path | None) -> str:
    context = ssl.create_default_context(cafile=authority) if authority else None
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=2) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(error)
