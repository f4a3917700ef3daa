"""How often a pod may call: so that one of them cannot keep the operator from all others."""

from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError

# A worker that takes 20 tasks a second of a pool calls 40 times.
CALLS = (60.0, 200)  # of one pod: a second, and at once after a rest
LOGS = (5.0, 30)  # the same: each is up to 64 KiB that go to S3


class CallRates:
    """The calls of each pod, by its UID."""

    def __init__(self) -> None:
        self._calls = Rates(*CALLS)
        self._logs = Rates(*LOGS)

    def check(self, pod_uid: str, call: str, now: float) -> None:
        """See that a pod may make a call now; raises CallRefusedError."""
        wait = self._calls.take(pod_uid, now)
        if not wait and call == "log":
            wait = self._logs.take(pod_uid, now)
        if wait:
            raise CallRefusedError(
                "TooMany",
                f"this pod calls `{call}` too often; wait as the header Retry-After says",
                retry_after=wait,
            )
