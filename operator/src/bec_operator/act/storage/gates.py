"""Reads what gates cannot know from memory: ledgers of jobs that have ended, markers of others."""

import logging
from collections.abc import Sequence
from functools import partial
from itertools import islice

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.folders import Wanted
from bec_operator.act.volumes.manifest import read_outcomes
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import redo_time
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import SweepGate
from bec_operator.decide.volumes.gate import Outcomes, Place
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.sources.volumes import SourceError
from bec_ops.contract.location import OutputTemplate, TemplateError
from bec_ops.contract.marker import InvalidMarker
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume

log = logging.getLogger(__name__)

MARKERS_AT_MOST = 2000  # read in one sweep; the next one goes on from there
MARKERS_AT_ONCE = 50  # and then what was found is taken in
AGAIN_AFTER_TROUBLE = 5.0  # seconds


async def load_ended(ctx: Context, memory: Memory) -> None:
    """Read what became of the volumes of a job that has ended.

    Where its ledger or its list is lost, none of its volumes is on record, and markers decide.
    """
    outcomes = None
    try:
        outcomes = await read_outcomes(ctx, memory)
    except SourceError as error:
        log.warning("%s/%s: %s", memory.job.namespace, memory.job.name, error)
    except StoreError as error:
        memory.ends.note(None, storage_fact(error, ctx.clock.now()))
        return
    if memory.ledger is None:  # it has not come back to life meanwhile
        memory.ends.note(outcomes or Outcomes((), Ledger.fresh("", 0)))


async def sweep_gate(ctx: Context, memory: Memory, action: SweepGate) -> None:
    """Look for markers at the place of a dependency, of volumes that wait for one.

    One LIST tells which of them have a folder there, and only of those the marker is read. As long
    as sweeps find something they follow each other, else there is a pause between them.
    """
    gate = memory.books.gates.at(action.number, action.place)
    if gate is None:
        return
    look = _Look(action.place, memory.books.volumes)
    sought = gate.sought(memory.books.frontier)
    later = [index for index in sought if index >= gate.cursor]
    order = later + sought[: len(sought) - len(later)]
    opened, trouble, candidates = False, None, list[int]()
    try:
        candidates = await ctx.storage.call("list", partial(look.candidates, order))
        for start in range(0, len(candidates), MARKERS_AT_ONCE):
            batch = candidates[start : start + MARKERS_AT_ONCE]
            found = await ctx.storage.call("marker", partial(look.proven, batch))
            if memory.books.gates.at(action.number, action.place) is not gate:
                return  # something else is waited for by now
            for index in found:
                gate.note_found(index)
                opened = True
    except TemplateError as error:
        trouble = Fact(ctx.clock.now(), "InvalidOutput", str(error))
    except StoreError as error:
        trouble = storage_fact(error, ctx.clock.now())
    else:
        if look.forbidden is not None:
            trouble = storage_fact(look.forbidden, ctx.clock.now())
    if look.untold is not None:
        now = ctx.clock.now()
        gate.note_held(look.held, storage_fact(look.untold, now), now)
    goes_on = len(candidates) == MARKERS_AT_MOST
    pause = AGAIN_AFTER_TROUBLE if trouble else ctx.settings.gate_seconds
    gate.note_sweep(
        trouble,
        cursor=candidates[-1] + 1 if goes_on else 0,
        again_at=ctx.clock.now() + (0.0 if goes_on and opened and not trouble else pause),
    )


class _Look:
    """Looks at the place of a dependency, in a thread.

    `forbidden` is the last key that was; `held` are volumes of which S3 does not tell, the last
    for the reason `untold`.
    """

    def __init__(self, place: Place, volumes: Sequence[Volume]) -> None:
        self.forbidden: StoreError | None = None
        self.untold: StoreError | None = None
        self.held: list[int] = []
        self._place = place
        self._volumes = volumes

    def candidates(self, order: Sequence[int], store: Store) -> list[int]:
        """Return the first volumes of `order` that have a folder there, up to the bound."""
        job_id = self._place.job_id
        template = OutputTemplate.parse(self._place.prefix)
        common = template.common_folder(job_id)

        def folder_of(index: int) -> str:
            return template.volume_folder(job_id, self._volumes[index])

        asked = Wanted(map(folder_of, order))
        found = asked.among(store.list_folders(self._place.bucket, common))
        having = (index for index in order if hash(folder_of(index)) in found)
        return list(islice(having, MARKERS_AT_MOST)) if found else []

    def proven(self, batch: Sequence[int], store: Store) -> list[int]:
        """Return those volumes whose marker stands, and is valid."""
        job_id = self._place.job_id
        template = OutputTemplate.parse(self._place.prefix)
        redo_at = redo_time(self._place.redone)
        found = []
        for index in batch:
            volume = self._volumes[index]
            prefix = template.prefix(job_id, volume)
            try:
                marker = store.read_marker(self._place.bucket, prefix, job_id, volume, redo_at)
            except InvalidMarker:
                continue
            except StoreError as error:
                if error.of_one_key:
                    self.held.append(index)
                    self.untold = error
                elif error.reason == "Forbidden":  # which may be a matter of this one key, too
                    self.forbidden = error
                else:
                    raise
            else:
                found += [index] if marker is not None else []
        return found
