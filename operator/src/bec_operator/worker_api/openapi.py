"""The worker API as OpenAPI: `python -m bec_operator.worker_api.openapi FILE` writes it."""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bec_operator.worker_api.callers.refusals import STATUS
from bec_operator.worker_api.routes import OPENAPI_PATH, ROUTES, Route
from bec_ops.contract.protocol import Refusal

Schema = dict[str, Any]

_ABOUT = """\
What workers tell the operator, and ask of it. A worker in a pod of its own need not call at all:
its success marker and its exit code say what became of its task. One that calls goes on calling:
from the first call on, silence is a failure (`timeouts.heartbeat` of its Job).

Each call carries the pod's projected token for the audience `bec.bdrc.io`, read anew from its file
each time, since it rotates. Calls can be repeated: what was told twice counts once.
"""
_MEANINGS = {
    "Invalid": "The body is not what the call takes",
    "Unauthenticated": "No token, or one that is not valid (any more)",
    "Forbidden": "A token of something that is not a worker of this operator",
    "UnknownSession": "Register again, and repeat the call",
    "StaleSession": "Another process of this pod has registered since: end",
    "Gone": "The task or its attempt is over, or not this pod's: drop the report, stop the work",
    "TooMany": "More calls than a worker has use for: wait for the seconds of `Retry-After`",
    "Unavailable": "Try again later, as for any other 5xx, and go on working meanwhile",
}


def openapi() -> Schema:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BEC operator: worker API",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": {
            **{route.path: {"post": _operation(route)} for route in ROUTES},
            OPENAPI_PATH: {"get": _document()},
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The pod's projected service account token",
                }
            },
            "responses": _refusals(),
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> Schema:
    return {
        "operationId": route.name,
        "summary": route.summary,
        "requestBody": {"required": True, "content": _content(route.request)},
        "responses": {
            "200": {"description": _first_line(route.answer), "content": _content(route.answer)},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _refusals()},
        },
    }


def _document() -> Schema:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "openapi",
        "summary": "Read this document",
        "security": [],
        "responses": {"200": {"description": "This document", "content": content}},
    }


def _refusals() -> Schema:
    """Return the answers that are no good ones, by their status; a status may have two words."""
    found: Schema = {}
    for word, status in STATUS.items():
        said = f"{word}: {_MEANINGS[word]}"
        before = found.get(str(status))
        description = f"{before['description']}. {said}" if before else said
        found[str(status)] = {"description": description, "content": _content(Refusal)}
    found[str(STATUS["TooMany"])]["headers"] = {
        "Retry-After": {
            "description": "Seconds after which the call may be made again",
            "schema": {"type": "integer"},
        }
    }
    return found


def _content(model: type[BaseModel]) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").splitlines()[0]


def _schemas() -> Schema:
    requests = [(route.request, "validation") for route in ROUTES]
    answers = [(route.answer, "serialization") for route in ROUTES]
    models: Any = list(dict.fromkeys([*requests, *answers, (Refusal, "serialization")]))
    _, made = models_json_schema(
        models, by_alias=False, ref_template="#/components/schemas/{model}"
    )
    schemas: Schema = made["$defs"]
    return schemas


def main(path: Path) -> None:
    """Write the document."""
    path.write_text(json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bec_operator.worker_api.openapi FILE")
    main(Path(sys.argv[1]))
