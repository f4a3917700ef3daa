"""The document: as checked in, whole, and about exactly what is served."""

import json
from pathlib import Path
from typing import Any, get_args

from bec_operator.worker_api.callers.refusals import STATUS
from bec_operator.worker_api.openapi import main, openapi
from bec_operator.worker_api.routes import ROUTES
from bec_ops.contract.protocol import Refusal

_FILE = Path(__file__).parents[3] / "docs" / "worker-api.json"


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(references(value) for value in part.values()))
    return set().union(*(references(value) for value in part)) if isinstance(part, list) else set()


def test_what_is_checked_in_is_what_the_code_says(tmp_path: Path) -> None:
    main(tmp_path / "made.json")
    assert _FILE.read_text() == (tmp_path / "made.json").read_text()


def test_every_reference_leads_somewhere_and_every_part_is_used() -> None:
    document = openapi()
    parts = document["components"]
    there = {f"#/components/{kind}/{name}" for kind in parts for name in parts[kind]}
    assert references(document) == there - {"#/components/securitySchemes/token"}


def test_bodies_are_named_as_they_are_sent() -> None:
    schemas = openapi()["components"]["schemas"]
    assert "job_id" in schemas["Task"]["properties"]
    assert set(schemas["Heartbeat"]["required"]) == {"session", "task_uid", "attempt"}
    assert "BEC_" not in json.dumps(openapi())


def test_every_word_of_a_refusal_has_its_status_and_its_answer() -> None:
    words = set(get_args(Refusal.model_fields["error"].annotation))
    assert set(STATUS) == words
    document = openapi()
    for route in ROUTES:
        answers = document["paths"][route.path]["post"]["responses"]
        assert set(answers) == {"200", *map(str, STATUS.values())}
    told = document["components"]["responses"]
    assert all(f"{word}: " in told[str(status)]["description"] for word, status in STATUS.items())
