"""Events: one for each Job and reason, whatever happens to the API server."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, ApiServer
from bec_operator.act.ground.clock import Clock
from bec_operator.act.kube.events import post_event
from tests.unit.decide.fake_api import Object, merge
from tests.unit.worker_api.scene import JOB


class _Api(ApiServer):
    """Keeps Events by their paths."""

    def __init__(self) -> None:
        self.events: dict[str, Object] = {}
        self.error: Exception | None = None

    async def request(self, method: str, path: str, body: Any = None, **how: Any) -> Object:
        if self.error is not None:
            raise self.error
        if method == "POST":
            self.events[f"{path}/{body['metadata']['name']}"] = body
        elif path not in self.events:
            raise ApiError(404, "NotFound", path)
        elif method == "PATCH":
            assert how["content_type"] == MERGE_PATCH
            self.events[path] = merge(self.events[path], body)
        return self.events.get(path, {})


async def test_the_same_again_adds_up() -> None:
    api = _Api()
    for message in ("1 of 3", "2 of 3", "3 of 3"):
        await post_event(api, Clock(), JOB, "VolumesFailed", message, "Warning")
    ((path, event),) = api.events.items()
    assert path.startswith("/api/v1/namespaces/texts/events/ocr.")
    assert (event["count"], event["message"], event["type"]) == (3, "3 of 3", "Warning")
    assert event["firstTimestamp"] <= event["lastTimestamp"]
    assert event["involvedObject"]["uid"] == JOB.uid


async def test_other_reasons_and_other_jobs_have_their_own() -> None:
    api = _Api()
    await post_event(api, Clock(), JOB, "Running", "0 of 3")
    await post_event(api, Clock(), JOB, "Completed", "all 3")
    await post_event(api, Clock(), replace(JOB, uid="another"), "Running", "0 of 3")
    assert [event["count"] for event in api.events.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    "error", [ApiError(403, "Forbidden", "the namespace is being terminated"), TimeoutError()]
)
async def test_one_that_cannot_be_written_is_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api = _Api()
    api.error = error
    await post_event(api, Clock(), JOB, "Completed", "all 3 volumes are done")
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "the Event Completed (all 3 volumes are done) could not be written" in warning.message
