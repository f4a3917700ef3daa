"""Secrets by which workers come in from elsewhere: read, and made."""

import base64
import binascii
from collections.abc import Mapping

from pydantic import BaseModel, Field, ValidationError, field_validator

from bec_operator.act.ground.api_server import Body
from bec_operator.act.ground.enrolled import Enrolled, Enrolment, Scope
from bec_operator.api.base import GROUP, Moment
from bec_operator.decide.sight.moments import epoch

OUTSIDE_LABEL = f"{GROUP}/outside"
"""On a Secret: `enrolment` if workers come in by it, `worker` if it is one that has."""
USED_ANNOTATION = f"{GROUP}/used"
"""On the Secret of an enrolment: how many workers have come in by it."""
LAST_ANNOTATION = f"{GROUP}/last"
"""The same: which one came in last, so that one that got no answer may ask again."""
OFFERS_ANNOTATION = f"{GROUP}/offers"
"""On the Secret of a worker: the kinds of work that it does, with blanks between them."""
ENROLMENT, WORKER = "enrolment", "worker"
SHORTEST_TOKEN = 24


class _Terms(BaseModel):
    """What the Secret of an enrolment says, key by key."""

    token: str = Field(min_length=SHORTEST_TOKEN, max_length=256)
    namespaces: tuple[str, ...] = Field(min_length=1)
    jobs: tuple[str, ...] = ("*",)
    sites: tuple[str, ...] = ()
    expires: Moment | None = None
    uses: int | None = Field(default=None, ge=1)

    @field_validator("namespaces", "jobs", "sites", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        return names or ()


def enrolled_of(raw: Body) -> Enrolment | Enrolled:
    """Return the record of a Secret with our label."""
    data = _data_of(raw)
    is_worker = (raw["metadata"].get("labels") or {}).get(OUTSIDE_LABEL) == WORKER
    return _worker_of(raw, data) if is_worker else _enrolment_of(raw, data)


def _worker_of(raw: Body, data: Mapping[str, str]) -> Enrolled:
    namespace, name, uid, version = _place_of(raw)
    return Enrolled(
        namespace,
        name,
        uid,
        version,
        worker_id=data.get("id", ""),
        digest=data.get("secret-sha256", ""),
        enrolment=data.get("enrolment", ""),
        enrolment_uid=data.get("enrolment-uid", ""),
        known_as=data.get("name", ""),
        offers=tuple((raw["metadata"].get("annotations") or {}).get(OFFERS_ANNOTATION, "").split()),
    )


def _enrolment_of(raw: Body, data: Mapping[str, str]) -> Enrolment:
    namespace, name, uid, version = _place_of(raw)
    try:
        terms = _Terms.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_input=False))
        return Enrolment(namespace, name, uid, version, token="", problem=wrong)
    marks = raw["metadata"].get("annotations") or {}
    used = marks.get(USED_ANNOTATION, "0")
    return Enrolment(
        namespace,
        name,
        uid,
        version,
        token=terms.token,
        scope=Scope(
            terms.namespaces,
            terms.jobs or ("*",),
            terms.sites,
            epoch(terms.expires) if terms.expires is not None else None,
        ),
        uses=terms.uses,
        used=int(used) if used.isdecimal() else 0,
        last=marks.get(LAST_ANNOTATION, ""),
    )


def worker_secret(worker: Enrolled, enrolment: Enrolment) -> Body:
    """Return the Secret of a worker; it goes with the enrolment."""
    data = {
        "id": worker.worker_id,
        "secret-sha256": worker.digest,
        "enrolment": worker.enrolment,
        "enrolment-uid": worker.enrolment_uid,
        "name": worker.known_as,
    }
    owner = {"apiVersion": "v1", "kind": "Secret", "name": enrolment.name, "uid": enrolment.uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": worker.name,
            "namespace": worker.namespace,
            "labels": {OUTSIDE_LABEL: WORKER},
            "ownerReferences": [owner],
        },
        "stringData": data,
    }


def _place_of(raw: Body) -> tuple[str, str, str, int]:
    meta = raw["metadata"]
    return meta["namespace"], meta["name"], meta["uid"], int(meta["resourceVersion"])


def _data_of(raw: Body) -> dict[str, str]:
    """Return the values of a Secret that are text."""
    found = {}
    for key, value in (raw.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value, validate=True).decode().strip()
        except (binascii.Error, ValueError):
            continue
    return found
