"""Jobs that harm an operator that trusts them: each concerns itself alone, and says why."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from tests.support.jobs import TEMPLATE, LiveJob, config_map, job, manifest, numbered
from tests.support.kube import Body
from tests.support.space import Space


@dataclass(frozen=True)
class Poison:
    """A poisoned Job: `spec` and `worker` are fields beside those of a good one.

    `lay` puts what it needs into S3. It stalls for `reason` and says all of `says`; without a
    reason it comes to a good end.
    """

    reason: str = ""
    says: tuple[str, ...] = ()
    spec: Body = field(default_factory=dict)
    worker: Body = field(default_factory=dict)
    lay: Callable[[Space, str], None] = lambda _, __: None
    volumes: Callable[[Space, str], Body] | None = None
    template: Callable[[Body], Body] = lambda good: good

    def submit(self, space: Space, name: str, good: Body = TEMPLATE, **more: Any) -> LiveJob:
        """Make the Job, and what it needs; `good` is a template of workers that succeed."""
        self.lay(space, name)
        source = self.volumes(space, name) if self.volumes is not None else numbered(2)
        worker = {"template": self.template(good), **self.worker}
        return space.submit(job(name, space.bucket, source, worker=worker, **self.spec, **more))


def nested(levels: int) -> Any:
    """Return JSON of so many levels, as a text: nobody can write it otherwise."""
    return json.loads('{"a":' * min(levels, 900) + "1" + "}" * min(levels, 900))


def container(**more: object) -> Callable[[Body], Body]:
    """Return what gives the worker of a template more fields than it may have."""

    def change(good: Body) -> Body:
        (worker,) = good["spec"]["containers"]
        return {**good, "spec": {**good["spec"], "containers": [{**worker, **more}]}}

    return change


def spec_of(**more: object) -> Callable[[Body], Body]:
    """Return what gives the pod of a template more fields than it may have."""
    return lambda good: {**good, "spec": {**good["spec"], **more}}


def marked(good: Body) -> Body:
    """Return a template with marks that only the operator sets."""
    annotations = {"bec.bdrc.io/redo-at": "soon", "bec.bdrc.io/generation": "9" * 999}
    labels = {"bec.bdrc.io/task": "mine", "bec.bdrc.io/pool": "mine"}
    return {**good, "metadata": {"annotations": annotations, "labels": labels}}


def _list(body: bytes) -> Callable[[Space, str], None]:
    return lambda space, name: space.put(f"{name}.csv", body)


def _its_list(space: Space, name: str) -> Body:
    return manifest(space.bucket, f"{name}.csv")


def _markers(body: bytes) -> Callable[[Space, str], None]:
    def lay(space: Space, name: str) -> None:
        template = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")
        for volume in numbered(2):
            space.put(template.prefix(name, volume) + MARKER_NAME, body)

    return lay


def _marker(**more: object) -> bytes:
    return json.dumps(
        {"worker_id": "w", "success_timestamp": "2026-01-01T00:00:00Z", **more}
    ).encode()


def _parameters(value: object) -> Body:
    return {"parameters": {"free": value}}


POOL: Body = {"pool": {"maxWorkers": 2}}
POISONS: dict[str, Poison] = {
    "untyped-in-a-pool": Poison(
        "TemplateRejected", ("hostAliases",), template=spec_of(hostAliases="x"), spec=POOL
    ),
    "untyped": Poison("TemplateRejected", ("hostAliases",), template=spec_of(hostAliases="x")),
    "own-annotations": Poison(template=marked),
    "nested-150": Poison(
        "InvalidSpec", ("spec.worker.parameters", "100 levels"), worker=_parameters(nested(150))
    ),
    "nested-900": Poison(
        "InvalidSpec", ("spec.worker.parameters", "100 levels"), worker=_parameters(nested(900))
    ),
    "large-parameters": Poison(
        "InvalidSpec", ("spec.worker.parameters", "102400 is the limit"),
        worker=_parameters("x" * 140_000)
    ),
    "list-of-brackets": Poison(
        "InvalidManifest", ("line 2",), volumes=_its_list,
        lay=_list(b'{"wId": "W1", "iId": "I1"}\n' + b"[" * 200_000 + b"\n"),
    ),
    "list-of-one-line": Poison(
        "InvalidManifest", ("line 1",), volumes=_its_list, lay=_list(b"x" * 30_000_000)
    ),
    "list-that-is-an-archive": Poison(
        "InvalidManifest", (), volumes=_its_list, lay=_list(b"PK\x03\x04" + bytes(30_000_000))
    ),
    "list-is-no-map": Poison(
        "ConfigMapNotFound", ("no ConfigMap",), volumes=lambda _, __: config_map("nobodys", "x")
    ),
    "deep-markers": Poison(lay=_markers(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "large-markers": Poison(lay=_markers(_marker(padding="x" * 5_000_000))),
    "numbers-in-markers": Poison(
        lay=_markers(_marker(total_images=10**400)[:-1] + b', "timestamp": NaN}')
    ),
}  # fmt: skip
