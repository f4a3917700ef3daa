"""How long whoever needs the event loop has to wait for it."""

import asyncio

from bec_operator.metrics import LOOP_LAG_SECONDS

EVERY = 0.1  # seconds


async def measure_lag() -> None:
    """Ask for the loop again and again, and note how much later than asked for it comes."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        LOOP_LAG_SECONDS.observe(max(loop.time() - due, 0.0))
