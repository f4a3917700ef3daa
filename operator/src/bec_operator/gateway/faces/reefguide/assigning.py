"""Gives a worker of ReefGuide the volume that it has chosen from the list, unless it is late."""

import secrets

from bec_operator.act.ground.enrolled import Enrolment, Offer, Outsider
from bec_operator.act.ground.key import Key
from bec_operator.decide.memory.memory import Memory
from bec_operator.gateway.faces.reefguide.listing import Listing
from bec_operator.gateway.faces.reefguide.messages import Claim
from bec_operator.gateway.faces.reefguide.numbers import index_in
from bec_operator.gateway.gateway import Gateway, JobsOver
from bec_operator.gateway.holding import Holding
from bec_operator.gateway.logins import visitor
from bec_operator.gateway.offering import is_being_given, is_free
from bec_operator.worker_api.callers.refusals import CallRefusedError

PROCESS = "reefguide"
"""What stands for the process in each seat: nobody says which it is, and each seat is for one."""
_GIVING = 60  # looks, of a second each, at a task whose creation nobody has answered yet


async def assign(
    gateway: Gateway, listing: Listing, enrolment: Enrolment, claim: Claim, address: str
) -> Holding:
    """Return the task that a worker has claimed; raises CallRefusedError if it does not get it.

    Each gets a seat of its own: the protocol does not say which worker it is, and one may do
    several things at once.
    """
    found = listing.find(enrolment, claim.job)
    if found is None:
        raise CallRefusedError("Invalid", "there is no such job for you; poll for others", 404)
    key, memory = found
    index = index_in(claim.job)
    if not is_free(gateway.ctx, memory, index):
        raise _lost()
    holding = await _take(gateway, visitor(enrolment, _who(claim, address)), key, memory, index)
    if holding is None:
        if is_free(gateway.ctx, memory, index):
            listing.rest(address, key)
        raise _lost()
    return holding


async def _take(
    gateway: Gateway, worker: Outsider, job: Key, memory: Memory, index: int
) -> Holding | None:
    seat = gateway.register(worker, PROCESS, secrets.token_hex(8))
    offer = Offer([job], beats=False, volume=index)
    try:
        for _ in range(_GIVING):
            holding = await gateway.next(seat, offer)
            if holding is not None or not is_being_given(memory, seat.uid):
                return holding
    except JobsOver:
        pass
    return None


def _who(claim: Claim, address: str) -> str:
    """Return what a worker is called: on ECS by its task there, else by where it calls from."""
    if claim.task_arn.startswith("arn:"):
        return f"ecs-{claim.task_arn.rpartition('/')[2]}"
    return address or "unknown"


def _lost() -> CallRefusedError:
    return CallRefusedError("Invalid", "somebody else has the job, or it is over; poll for others")
