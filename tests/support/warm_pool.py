"""What there is of the pools of a namespace."""

from bec_operator.act.ground.api_server import apps, core
from bec_operator.api.names import POOL_LABEL
from tests.support.kube import Body, Kube


class WarmPool:
    """The Deployments and workers that are there."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    def deployments(self) -> list[Body]:
        """Return its Deployments: one, two after a change of the template, or none."""
        return self._kube.items(apps(self._namespace, "deployments"))

    def pods(self) -> list[Body]:
        """Return its workers, and those that are going."""
        return self._kube.items(core(self._namespace, "pods"), labelSelector=POOL_LABEL)

    def staying(self) -> list[Body]:
        """Return its workers without those that are going."""
        return [pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]]

    def replicas(self) -> int:
        """Return how many workers it is to have."""
        return sum(each["spec"]["replicas"] for each in self.deployments())

    def scale(self, replicas: int) -> None:
        """Set how many workers there are to be, as anybody may."""
        for each in self.deployments():
            path = apps(self._namespace, "deployments", each["metadata"]["name"])
            self._kube.patch(path, {"spec": {"replicas": replicas}})

    def is_at_zero(self) -> bool:
        """Whether it has no worker, and is to have none."""
        return not self.pods() and self.replicas() == 0

    def is_gone(self) -> bool:
        """Whether nothing of it is left."""
        return not self.pods() and not self.deployments()
