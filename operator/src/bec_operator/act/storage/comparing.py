"""Compares where a job writes with where older ones do."""

import asyncio

from bec_operator.act.ground.context import Context
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.neighbours.conflicts import compare
from bec_operator.decide.volumes.actions import CompareOutputs


async def compare_outputs(ctx: Context, memory: Memory, action: CompareOutputs) -> None:
    """See whether any output is shared: in a thread, since there may be hundreds of thousands."""
    ledger, prefixes, bucket = memory.ledger, memory.books.prefixes, memory.output.bucket
    found = await asyncio.to_thread(compare, prefixes, bucket, action.rivals, ctx.clock.now())
    same = memory.books.prefixes is prefixes or (
        memory.stand_in and len(memory.books.prefixes) == len(prefixes)  # but for versions
    )
    if memory.ledger is ledger and same:
        memory.learn("conflict", found)
        memory.books.conflict.note_compared(action.rivals)
