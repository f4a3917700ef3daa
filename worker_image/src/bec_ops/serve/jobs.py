"""All jobs of this machine: those that run, and the latest of those that have ended."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from uuid import UUID, uuid4

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.serve.configuration import Limits
from bec_ops.serve.job_folder import End, JobFolder, Start
from bec_ops.serve.keeper import RUNS
from bec_ops.serve.kept_output import OutputReader
from bec_ops.serve.remains import kill_remains

_KEEPER = "bec_ops.serve.keeper"
_SAID_AT_MOST = 200  # characters of a command in a message

_logger = logging.getLogger(__name__)


class JobError(Exception):
    """Why a call about a job comes to nothing."""


class UnknownJobError(JobError):
    """There is no such job."""

    def __init__(self) -> None:
        super().__init__("job not found")  # by which existing clients know it


class NotStartedError(JobError):
    """The command cannot be run; the message is the system's."""


class NotAllowedError(JobError):
    """The owner of the machine has not listed the command."""


class NoRoomError(JobError):
    """So many run already."""


class Jobs:
    """Starts, stops and finds jobs; for any thread.

    All that it remembers is read from the disk again by the next process.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._folder = limits.folder.absolute()  # of which keepers are told
        self._lock = threading.RLock()
        self._jobs: dict[str, JobFolder] = {}
        self._open: set[str] = set()  # not known to have ended
        self._over: deque[str] = deque()  # the others, in the order in which they ended
        self._told: set[str] = set()  # to stop, as the log has it
        self._starting = 0
        self._keepers: list[subprocess.Popen[bytes]] = []
        self._only_one = self._claim()
        self._find_all()

    def start(self, command: str, path: str) -> str:
        """Start a command with its one argument, and return the id of the job."""
        self._check(command, path)
        self.look()
        with self._lock:
            if len(self._open) + self._starting >= self._limits.jobs:
                raise NoRoomError(
                    f"{self._limits.jobs} jobs run already, which is [limits] jobs of this worker: "
                    "try again later"
                )
            self._starting += 1
        try:
            job_id = self._start(command, path)
        finally:
            with self._lock:
                self._starting -= 1
        _logger.info("job %s: %s", job_id, _short(command))
        return job_id

    def stop(self, job_id: str) -> None:
        """Have a job stopped; of one that has ended that is no news."""
        if self._find(job_id).stop() and job_id not in self._told:
            self._told.add(job_id)
            _logger.info("job %s: is told to stop", job_id)

    def end(self, job_id: str) -> End | None:
        """Return how a job has ended; None while it runs."""
        job = self._find(job_id)
        end = job.end()
        if end is None and not job.is_kept():
            end = job.end() or self._lose(job)  # it may have ended between the two looks
        if end is not None:
            self._note_end(job_id)
        return end

    def output(self, job_id: str) -> OutputReader:
        """Return what reads the output of a job, from its beginning."""
        return OutputReader(self._find(job_id).folder)

    def look(self) -> None:
        """Note what has ended since, so that nothing lost runs on and no room is taken by it."""
        self._running()
        with self._lock:
            self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]

    def stop_all(self) -> list[str]:
        """Have all jobs stopped, and return the ids of those that have not ended yet.

        To be called again until there are none: one may be about to start.
        """
        running = self._running()
        for job_id in running:
            with suppress(UnknownJobError):  # it has ended since, and none is kept
                self.stop(job_id)
        with self._lock:
            return running or ["one that is about to start"] * self._starting

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._only_one)

    def _claim(self) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise MisconfiguredError(
                f"[limits] folder {self._folder}: {error.strerror}; write a folder that this "
                "worker may write to"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise MisconfiguredError(
                f"[limits] folder {self._folder}: another worker uses it; give each its own"
            ) from None
        return lock

    def _find_all(self) -> None:
        found = [JobFolder(entry) for entry in self._folder.iterdir() if _is_id(entry.name)]
        for job in sorted(found, key=JobFolder.ended_at):
            job_id = job.folder.name
            self._jobs[job_id] = job
            self._open.add(job_id)
            if self.end(job_id) is None:
                _logger.info("job %s: still runs, from before", job_id)

    def _running(self) -> list[str]:
        with self._lock:
            waiting = list(self._open)
        running = []
        for job_id in waiting:
            with suppress(UnknownJobError):  # somebody has removed its folder
                if self.end(job_id) is None:
                    running.append(job_id)
        return running

    def _find(self, job_id: str) -> JobFolder:
        with self._lock:
            try:
                return self._jobs[job_id]
            except KeyError:
                raise UnknownJobError from None

    def _check(self, command: str, path: str) -> None:
        if not self._limits.allow(command):
            raise NotAllowedError(
                f"the command {_short(command)} is not allowed on this machine: its owner lists "
                "commands in [limits] commands of the worker's configuration"
            )
        if "\0" in command or "\0" in path:
            raise NotStartedError("a NUL character in command or path: leave it out")

    def _start(self, command: str, path: str) -> str:
        job_id = str(uuid4())
        limits = self._limits
        start = Start(command, path, limits.output_bytes, limits.grace_seconds)
        try:
            job = JobFolder.make(self._folder / job_id, start)
            said = self._launch(job)
        except OSError as error:
            said = f"the job's folder: {error.strerror}"
        if said != RUNS:
            shutil.rmtree(self._folder / job_id, ignore_errors=True)
            raise NotStartedError(f"{_short(command)}: {said or 'its keeper has ended'}")
        with self._lock:
            self._jobs[job_id] = job
            self._open.add(job_id)
        return job_id

    def _launch(self, job: JobFolder) -> str:
        """Start a keeper, and return its first word."""
        with (job.folder / "keeper.log").open("wb") as log:
            keeper = subprocess.Popen(  # noqa: S603 - Python and a module of ours
                [sys.executable, "-P", "-m", _KEEPER, str(job.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is not meant for it
            )
        with self._lock:
            self._keepers.append(keeper)
        assert keeper.stdout is not None
        with keeper.stdout as words:
            return words.readline().decode(errors="replace").strip()

    def _lose(self, job: JobFolder) -> End | None:
        """Note that nobody keeps a job that has not ended, and leave nothing of it running."""
        with suppress(OSError):  # the disk is full, or the folder is gone
            if not job.begin() and job.is_kept():  # its keeper was just about to begin
                return job.end()
        job_id, end = job.folder.name, End(0, lost=True)
        _logger.warning("job %s: is lost: what kept it is gone", job_id)
        kill_remains(job_id)
        try:
            job.write_end(end)
        except FileNotFoundError:
            self._forget(job_id)
            raise UnknownJobError from None
        except OSError as error:
            _logger.warning("job %s: its end cannot be noted: %s", job_id, error.strerror)
        return end

    def _note_end(self, job_id: str) -> None:
        with self._lock:
            if job_id not in self._open:
                return
            self._open.remove(job_id)
            self._told.discard(job_id)
            self._over.append(job_id)
            while len(self._over) > self._limits.kept_jobs:
                self._forget(self._over.popleft())

    def _forget(self, job_id: str) -> None:
        with self._lock:
            self._open.discard(job_id)
            self._told.discard(job_id)
            job = self._jobs.pop(job_id, None)
        if job is not None:
            shutil.rmtree(job.folder, ignore_errors=True)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _short(command: str) -> str:
    return repr(command if len(command) <= _SAID_AT_MOST else f"{command[:_SAID_AT_MOST]}…")
