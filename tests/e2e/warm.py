"""Jobs with warm workers, of those in `worker.py`."""

from typing import Any

from tests.e2e.acts import MINUTES, Acts
from tests.e2e.site import Site
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool


def begin(site: Site, *ids: str, **spec: Any) -> tuple[Acts, WarmPool]:
    """Apply a Job with a pool of three workers, if nothing else is said."""
    pool = {"maxWorkers": 3, "idle": "5s"} | spec.pop("pool", {})
    acts = Acts.begin(site, "work", *ids, pool=pool, **spec)
    return acts, WarmPool(site.kube, site.namespace)


def begin_one(site: Site, i_id: str, **spec: Any) -> tuple[Acts, WarmPool]:
    """Apply a Job with a pool of one worker for one volume, and wait until it works."""
    acts, pool = begin(site, i_id, pool={"maxWorkers": 1}, **spec)
    until(lambda: bool(acts.attempts(i_id)), "it has a worker", 2 * MINUTES)
    until(lambda: loads(site) > 0, "it works", MINUTES)
    return acts, pool


def loads(site: Site) -> int:
    """Count the processes that have loaded the model."""
    return len(list(site.store.list_keys(site.bucket, f"loads/{site.namespace}-work/")))
