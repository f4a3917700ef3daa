"""The circuit breaker: many volumes in a row fail, so most likely it is not their fault.

Five that fail in one way are many, or ten in any way.

The job then launches nothing but a probe now and then, until one succeeds.
"""

from dataclasses import dataclass, field

from bec_operator.decide.sight.failures import RULES, FailureClass

IN_A_ROW = 5  # volumes that fail in one way, and
OF_ANY_CLASS = 10  # in any way
CLAIMS_BELIEVED = 3  # volumes whose exit code alone says that the job is set up wrongly
CLAIMED = f"{CLAIMS_BELIEVED} volumes say so"  # how the sentence for that begins

TRIPPED = "RepeatedFailures"  # the reason of the stall


@dataclass(slots=True)
class Breaker:
    """What is known of the last failures of a job, since a volume was done.

    `volumes` are the last ones that failed in one way: all disruptions are one.
    """

    volumes: set[int] = field(default_factory=set)
    failure: FailureClass | None = None
    message: str = ""  # of the last one
    tripped: bool = False
    _probes: int = 0
    _probed: float = 0.0
    claimed: bool = False  # several volumes call the job set up wrongly, by their exit codes alone
    _claims: set[int] = field(default_factory=set)  # these
    _failed: set[int] = field(default_factory=set)  # volumes, in any way

    def note_failure(
        self,
        index: int,
        failure: FailureClass,
        message: str,
        now: float,
        *,
        repeated: bool = False,
    ) -> None:
        """Take in that an attempt at the volume at `index` failed.

        One disruption is no sign of anything: a node may go with many pods on it. A volume that is
        disrupted again and again is (`repeated`).
        """
        rule = RULES[failure]
        if rule.at_once or (rule.spared and not repeated):
            return  # somebody else's doing
        before = RULES[self.failure] if self.failure is not None else None
        if failure is not self.failure and not (rule.spared and before and before.spared):
            self.volumes.clear()
        self.failure, self.message = failure, message
        self.volumes.add(index)
        self._failed.add(index)
        many = len(self.volumes) >= IN_A_ROW or len(self._failed) >= OF_ANY_CLASS
        if many and not self.tripped:
            self.trip(now)

    def note_claim(self, index: int) -> bool:
        """Take in that a volume's exit code says that the job is set up wrongly; whether it is."""
        self._claims.add(index)
        self.claimed = len(self._claims) >= CLAIMS_BELIEVED
        return self.claimed

    def trip(self, now: float) -> None:
        """Stop launching."""
        self.tripped, self._probes, self._probed = True, 0, now

    def note_success(self) -> None:
        """Take in that a volume was done: all is well."""
        for volumes in (self.volumes, self._claims, self._failed):
            volumes.clear()
        self.failure, self.message, self.tripped, self.claimed = None, "", False, False

    def note_probe(self, now: float) -> None:
        """Take in that a task was launched: while tripped it is the probe."""
        if self.tripped:
            self._probes += 1
            self._probed = now

    def may_probe(self, now: float, first: float, most: float) -> bool:
        """Whether a probe is due: `first` seconds after the trip, then ever later up to `most`."""
        wait = min(first * 2.0 ** min(self._probes, 30), most)
        return now - self._probed >= wait or now < self._probed  # or the clock was set back

    def sentence(self) -> str:
        """Say why nothing is launched."""
        if self.failure is None:
            return (
                "many volumes in a row have failed; one is tried now and then, until one succeeds"
            )
        last = (
            f"{self.failure.label} ({self.message}); one is tried now and then, until one succeeds"
        )
        if len(self.volumes) < IN_A_ROW:
            failed = len(self._failed)
            return f"the last {failed} volumes to fail, with no success between them, end in {last}"
        return (
            f"the last {len(self.volumes)} volumes to fail, with no success between them, are all "
            f"{last}"
        )
