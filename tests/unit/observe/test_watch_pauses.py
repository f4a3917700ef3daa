"""A watch that does not last is begun anew ever more rarely; what cannot be read stays alone."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.cache import Cache
from bec_operator.observe.kinds import JOBS, PODS, TASKS
from bec_operator.observe.watch import RETRY, Kind, Watch
from tests.unit.decide.virtual_time import LoopClock, VirtualLoop

ERROR = {"type": "ERROR", "object": {"code": 500, "reason": "InternalError", "message": "no"}}
EXPIRED = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}


class _Api:
    """An API server whose watches say one thing and end at once, or do not begin."""

    def __init__(
        self, said: list[dict[str, Any]], items: list[dict[str, Any]] | None = None
    ) -> None:
        self.content = self
        self.refusal: ApiError | None = None
        self.watches: list[float] = []
        self.lists = 0
        self.loop: VirtualLoop | None = None
        self._said = b"".join(json.dumps(event).encode() + b"\n" for event in said)
        self._items = items or []
        self._left = b""

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.lists += 1
        return {"items": self._items, "metadata": {"resourceVersion": "9"}}

    async def stream(self, *_: Any, **__: Any) -> "_Api":
        assert self.loop is not None
        self.watches.append(self.loop.time())
        if self.refusal is not None:
            raise self.refusal
        self._left = self._said
        return self

    async def read(self, _: int) -> bytes:
        part, self._left = self._left, b""
        return part

    async def __aenter__(self) -> "_Api":
        return self

    async def __aexit__(self, *_: object) -> None: ...


def _watch(api: _Api, seconds: float, kind: Kind = PODS) -> Cache:
    """Watch for so long; return what is known by then."""
    api.loop = loop = VirtualLoop()
    cache = Cache(lambda _: None)
    ctx: Any = SimpleNamespace(api=api, cache=cache, clock=LoopClock(loop))
    watch = loop.create_task(Watch(ctx, kind, None).run())

    def stop() -> None:
        watch.cancel()

    loop.call_later(seconds, stop)
    try:
        loop.run_until_complete(_end(watch))
    finally:
        loop.close()
    return cache


async def _end(watch: Any) -> None:
    try:
        await watch
    except BaseException as error:  # noqa: BLE001 - it is to be the cancellation
        assert type(error).__name__ == "CancelledError", error  # noqa: PT017


@pytest.mark.parametrize("said", [[], [ERROR], [EXPIRED], [ERROR, ERROR]])
def test_one_that_ends_at_once_is_followed_ever_later(said: list[dict[str, Any]]) -> None:
    api = _Api(said)
    _watch(api, 600.0)
    assert len(api.watches) <= 6 + 600 / (0.8 * RETRY[1])
    assert api.lists <= len(api.watches) + 1
    assert len(api.watches) >= 600 / (1.2 * RETRY[1])


def test_an_error_that_does_not_say_too_old_needs_no_list() -> None:
    api = _Api([ERROR])
    _watch(api, 600.0)
    assert api.lists == 1


def test_it_waits_as_long_as_it_is_told_to() -> None:
    api = _Api([])
    api.refusal = ApiError(429, "TooManyRequests", "later", 40.0)
    _watch(api, 400.0)
    gaps = [b - a for a, b in zip(api.watches, api.watches[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 40.0


def _item(number: int, **more: Any) -> dict[str, Any]:
    meta = {
        "namespace": "ns",
        "name": f"t{number}",
        "uid": f"u{number}",
        "resourceVersion": str(number),
        "labels": {"bec.bdrc.io/job": "j"},
    }
    return {"metadata": meta, "spec": {"job": "j", "index": number}, **more}


BROKEN: list[Any] = [
    {"spec": {"job": "j"}},
    {"spec": {"job": "j", "index": "first"}},
    {"spec": None},
    {"spec": {}},
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("listed", [False, True])
def test_an_object_that_cannot_be_read_holds_up_no_other(broken: Any, listed: bool) -> None:
    items = [_item(1), _item(2, **broken), _item(3)]
    events = [{"type": "ADDED", "object": item} for item in items]
    cache = _watch(_Api([], items) if listed else _Api(events), 0.1, TASKS)
    assert {task.name for task in cache.tasks.all()} == {"t1", "t3"}
    assert "volumetasks ns/t2 cannot be read" in cache.unreadable.of_job(("ns", "j"))


def test_an_object_that_cannot_be_read_is_not_gone() -> None:
    """It is in the list: what was known of it stays, and nothing is done as if it had gone."""
    good, bad = _item(2), _item(2, spec={"job": "j"})
    bad["metadata"] = {**bad["metadata"], "resourceVersion": "8"}
    api = _Api([{"type": "ADDED", "object": good}, EXPIRED], [bad])
    cache = _watch(api, 5.0, TASKS)
    assert [task.version for task in cache.tasks.all()] == [2]


def test_what_is_said_of_an_object_goes_with_it() -> None:
    bad = _item(2, spec={"job": "j"})
    events = [{"type": "ADDED", "object": bad}, {"type": "DELETED", "object": bad}]
    cache = _watch(_Api(events), 0.1, TASKS)
    assert cache.unreadable.of_job(("ns", "j")) == ""


def test_a_job_whose_spec_nobody_can_read_is_known() -> None:
    job = _item(2, spec={"volumes": 3})
    cache = _watch(_Api([], [job]), 1.0, JOBS)
    (found,) = cache.jobs.all()
    assert found.spec is None
    assert found.problem
