"""The pool of a Job of the workers in `worker.py`: who is there, and who has loaded its model."""

from typing import Any

from bec_operator.act.api_server import apps
from bec_operator.api.names import POOL_LABEL
from tests.e2e.acts import MINUTES, Acts
from tests.e2e.site import Site
from tests.support.kube import Body
from tests.support.waiting import until


class WarmPool:
    """What is seen of the pool of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def deployments(self) -> list[Body]:
        """Return its Deployments: one, two after a change of the template, or none."""
        return self._site.kube.items(apps(self._site.namespace, "deployments"))

    def pods(self) -> list[Body]:
        """Return its workers, and those that are going."""
        return [pod for pod in self._site.pods() if POOL_LABEL in pod["metadata"]["labels"]]

    def staying(self) -> list[Body]:
        """Return its workers without those that are going."""
        return [pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]]

    def replicas(self) -> int:
        """Return how many workers it is to have."""
        return sum(each["spec"]["replicas"] for each in self.deployments())

    def scale(self, replicas: int) -> None:
        """Set how many workers there are to be, as anybody may."""
        for each in self.deployments():
            path = apps(self._site.namespace, "deployments", each["metadata"]["name"])
            self._site.kube.patch(path, {"spec": {"replicas": replicas}})

    def is_at_zero(self) -> bool:
        """Whether it has no worker, and is to have none."""
        return not self.pods() and self.replicas() == 0

    def loads(self) -> int:
        """Count the processes that have loaded the model."""
        where = f"loads/{self._site.namespace}-work/"
        return len(list(self._site.store.list_keys(self._site.bucket, where)))


def begin(site: Site, *ids: str, **spec: Any) -> tuple[Acts, WarmPool]:
    """Apply a Job with a pool of three workers, if nothing else is said."""
    pool = {"maxWorkers": 3, "idle": "5s"} | spec.pop("pool", {})
    return Acts.begin(site, "work", *ids, pool=pool, **spec), WarmPool(site)


def begin_one(site: Site, i_id: str, **spec: Any) -> tuple[Acts, WarmPool]:
    """Apply a Job with a pool of one worker for one volume, and wait until it works."""
    acts, pool = begin(site, i_id, pool={"maxWorkers": 1}, **spec)
    until(lambda: bool(acts.attempts(i_id)), "it has a worker", 2 * MINUTES)
    until(lambda: pool.loads() > 0, "it works", MINUTES)
    return acts, pool
