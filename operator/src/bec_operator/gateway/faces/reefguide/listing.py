"""Which volumes ReefGuide's workers are shown as jobs, and which of them a number means.

Workers try for what they are shown again and again: so it is only what they would get.
"""

import json
import random
from collections import defaultdict
from itertools import chain, zip_longest
from typing import Any

from bec_operator.act.ground.enrolled import Enrolment, Offer
from bec_operator.act.ground.key import Key
from bec_operator.api.outside import MarkerBy
from bec_operator.decide.memory.memory import Memory
from bec_operator.gateway.faces.reefguide import messages
from bec_operator.gateway.faces.reefguide.numbers import hash_in, hash_of, job_number
from bec_operator.gateway.faces.templating import fill
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.logins import visitor
from bec_operator.gateway.offering import offered

MOST = 10
"""Jobs in one list, as ReefGuide has it."""
_AMONG = 100  # startable volumes, of which each worker is shown others: so they race for few
_BYTES = 1024 * 1024  # of input in one list
_REST = 5.0  # seconds for which nothing is shown of a Job that gave nothing


class Listing:
    """The lists of jobs, and what they were drawn from."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._resting: dict[tuple[str, Key], float] = {}

    def jobs(self, enrolment: Enrolment, kind: str, address: str) -> list[dict[str, Any]]:
        """Return the jobs that a worker is shown: of each kind some, if it names none."""
        by_kind: defaultdict[str, list[tuple[Memory, int]]] = defaultdict(list)
        for key, memory in self._eligible(enrolment):
            if kind not in {"", _kind_of(memory)}:
                continue
            some = by_kind[_kind_of(memory)]
            if len(some) < MOST and not self._rests(address, key):
                found = offered(self._gateway.ctx, memory, _AMONG)
                some += [(memory, index) for index in random.sample(found, min(len(found), MOST))]
        turns = chain.from_iterable(zip_longest(*by_kind.values()))
        return _told([each for each in turns if each is not None][:MOST])

    def find(self, enrolment: Enrolment, number: int) -> tuple[Key, Memory] | None:
        """Return the Job that a number is of; None if there is none that this worker is shown."""
        for key, memory in self._eligible(enrolment):
            if hash_of(memory.job.uid) == hash_in(number):
                return key, memory
        return None

    def rest(self, address: str, job: Key) -> None:
        """Show nothing of a Job to a worker for a while: it gave nothing, and we know not why."""
        now = self._gateway.ctx.clock.now()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        self._resting[address, job] = now + _REST

    def _rests(self, address: str, job: Key) -> bool:
        return self._resting.get((address, job), 0.0) > self._gateway.ctx.clock.now()

    def _eligible(self, enrolment: Enrolment) -> list[tuple[Key, Memory]]:
        """Return the Jobs of all kinds that are for these workers, the first one first.

        They know of no marker, so the Job must have the operator write it. Of two Jobs with one
        hash, which once in a blue moon there are, the second has to wait.
        """
        found, by_hash = list[tuple[Key, Memory]](), dict[int, str]()
        for key in self._gateway.jobs(visitor(enrolment, "reefguide"), Offer(beats=False)):
            memory = self._gateway.memory_of(key)
            spec = memory.job.spec if memory is not None else None
            if memory is None or spec is None or not spec.worker.handler:
                continue  # what is of no type is for nobody
            if spec.outside.marker is MarkerBy.ON_DONE:
                found.append((key, memory))
                uid, number = memory.job.uid, hash_of(memory.job.uid)
                by_hash[number] = min(by_hash.get(number, uid), uid)
        return [each for each in found if each[1].job.uid in by_hash.values()]


def _kind_of(memory: Memory) -> str:
    spec = memory.job.spec
    return (spec.worker.handler or "") if spec is not None else ""


def _told(chosen: list[tuple[Memory, int]]) -> list[dict[str, Any]]:
    """Return volumes as jobs; those whose input would make the list too long come another time."""
    told, left = list[dict[str, Any]](), _BYTES
    for memory, index in chosen:
        spec, number = memory.job.spec, job_number(memory.job.uid, index)
        payload = fill(spec.worker.parameters, memory.books.volumes[index]) if spec else {}
        left -= len(json.dumps(payload))
        if left < 0 and told:
            break
        told.append(messages.job(number, _kind_of(memory), payload))
    return told
