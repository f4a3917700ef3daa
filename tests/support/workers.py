"""Plays kubelet and workers for the pods of one namespace, and records every one of them."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import TASK_LABEL
from tests.support.behaviours import Behaviour, succeed
from tests.support.kube import Body, Kube, KubeError, Watch
from tests.support.pods import PlayedPod
from tests.support.runs import Run, Runs
from tests.support.waiting import until

_AT_ONCE = 6  # pods that are played at the same time
_LIFETIME = 3600.0  # seconds, longer than any test


class Workers:
    """As a context: from its start on every task's pod of `namespace` does what `behaviour` says.

    A test may set another `behaviour` or `node` at any time; it holds for pods that come
    afterwards. While it has `stubborn` set, pods that are deleted go on with what they do for their
    whole grace.
    """

    def __init__(
        self, kube: Kube, s3: S3Client, namespace: str, node: str, behaviour: Behaviour = succeed
    ) -> None:
        self.behaviour = behaviour
        self.node = node
        self.stubborn = False
        self.runs = Runs()
        self._kube = kube
        self._s3 = s3
        self._path = core(namespace, "pods")
        self._errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="worker")
        self._letting_go: set[str] = set()
        self._stopping = False
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._follow, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._watch = self._kube.watch(self._path, _LIFETIME, {"labelSelector": TASK_LABEL})
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        assert self._watch is not None
        self._watch.close()
        self._thread.join()
        self._pool.shutdown()
        if error is None and not self._errors.empty():
            raise AssertionError("a worker could not be played") from self._errors.get()

    def alive(self) -> list[Run]:
        """Return the pods that have not ended."""
        return [run for run in self.runs.all() if run.alive]

    def running(self, count: int, timeout: float = 20.0) -> list[Run]:
        """Wait until so many pods run at once, and return them."""

        def look() -> list[Run]:
            return [run for run in self.alive() if run.phase == "Running"]

        until(lambda: len(look()) >= count, f"{count} pods run", timeout)
        return look()

    def nth(self, number: int, phase: str, timeout: float = 20.0) -> Run:
        """Wait until the pod that came as the `number`th is in a phase, and return it."""

        def look() -> bool:
            runs = self.runs.all()
            return len(runs) >= number and runs[number - 1].phase == phase

        until(look, f"pod {number} is {phase}", timeout)
        return self.runs.all()[number - 1]

    def ended(self, count: int, timeout: float = 30.0) -> None:
        """Wait until so many pods have ended."""
        until(lambda: self._count_ended() >= count, f"{count} pods have ended", timeout)

    def play(self, run: Run, behaviour: Behaviour) -> None:
        """Let one pod do something else, now."""
        self._play(run.pod, behaviour)

    def release(self, behaviour: Behaviour = succeed) -> None:
        """Let all pods that hang do something else, and those that come, too."""
        self.behaviour = behaviour
        for run in self.alive():
            self._submit(run.pod, _once(behaviour))

    def _count_ended(self) -> int:
        return sum(not run.alive for run in self.runs.all())

    def _follow(self) -> None:
        assert self._watch is not None
        try:
            for event in self._watch:
                self._see(event["type"], event["object"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must fail with it
            self._errors.put(error)
        else:
            if not self._stopping:
                self._errors.put(RuntimeError("the watch for pods has ended"))

    def _see(self, kind: str, pod: Body) -> None:
        uid = pod["metadata"]["uid"]
        known = uid in self.runs.by_uid
        play = None if known else PlayedPod(self._kube, self._s3, self.node, pod)
        run = self.runs.take_in(kind, pod, play)
        if play is not None and run.alive:
            self._submit(play, _once(self.behaviour))
        if "deletionTimestamp" in pod["metadata"] and not run.deleted:
            self._let_go(run)

    def _let_go(self, run: Run) -> None:
        if run.pod.uid not in self._letting_go and not (self.stubborn and run.alive):
            self._letting_go.add(run.pod.uid)
            self._submit(run.pod, PlayedPod.let_go)

    def _submit(self, pod: PlayedPod, behaviour: Behaviour) -> None:
        self._pool.submit(self._play, pod, behaviour)

    def _play(self, pod: PlayedPod, behaviour: Behaviour) -> None:
        try:
            with pod.lock:
                behaviour(pod)
        except KubeError as error:
            if error.code not in {404, 409}:  # it was deleted meanwhile
                self._errors.put(error)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the test
            self._errors.put(error)


def _once(behaviour: Behaviour) -> Behaviour:
    """Return what a pod does unless it has ended.

    One that comes just as all are released is told twice.
    """

    def play(pod: PlayedPod) -> None:
        if not pod.has_ended:
            behaviour(pod)

    return play
