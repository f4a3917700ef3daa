"""A worker that is not ours: it takes messages of the same queue, one at a time."""

import json
import random
import threading
from types import TracebackType
from typing import Self

from bec_ops.contract.volume import Volume
from tests.support.queues import Sqs

_SLOWEST = 1.0  # seconds for a volume
_HELD = 10  # seconds for which it has a message


class OtherWorker:
    """As a context it works, and `done` are the volumes that it has done.

    What names no volume it leaves, as it would end of it.
    """

    def __init__(self, sqs: Sqs, url: str) -> None:
        self.done: set[Volume] = set()
        self._client = sqs.client()
        self._url = url
        self._stopping = threading.Event()
        self._chance = random.Random(0)
        self._thread = threading.Thread(target=self._work, name="other-worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            answer = self._client.receive_message(
                QueueUrl=self._url, WaitTimeSeconds=1, VisibilityTimeout=_HELD
            )
            for found in answer.get("Messages", []):
                said = json.loads(found["Body"])
                self._stopping.wait(self._chance.uniform(0.0, _SLOWEST))
                if "i_id" in said:
                    self.done.add(Volume(said["w_id"], said["i_id"]))
                    receipt = found["ReceiptHandle"]
                    self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)
