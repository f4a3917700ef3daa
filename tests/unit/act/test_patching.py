"""A patch of an object that is gone, that another has the name of, or that others write to."""

from typing import Any

import pytest

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, ApiServer, Body
from bec_operator.act.ground.patching import patch_if_there

PATCH = {"metadata": {"uid": "u1"}, "status": {"phase": "Running"}}
GONE = ApiError(404, "NotFound", "not there")
CONFLICT = ApiError(409, "Conflict", "the object has been modified")


class _Api(ApiServer):
    """Answers one request after the other, with an object or by raising."""

    def __init__(self, *answers: Body | ApiError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def request(self, method: str, path: str, body: Any = None, **how: Any) -> Body:
        assert method == "GET" or (body, how) == (PATCH, {"content_type": MERGE_PATCH})
        self.asked.append(f"{method} {path}")
        answer = self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer


def _object(uid: str) -> Body:
    return {"metadata": {"uid": uid, "name": "a"}}


async def test_what_is_there_is_patched_and_returned() -> None:
    api = _Api(_object("u1"))
    assert await patch_if_there(api, "/a", PATCH, "status") == _object("u1")
    assert api.asked == ["PATCH /a/status"]


@pytest.mark.parametrize("answers", [[GONE], [CONFLICT, GONE], [CONFLICT, _object("u2")]], ids=str)
async def test_what_is_gone_is_told_by_none(answers: list[Body | ApiError]) -> None:
    api, taken_in = _Api(*answers), list[Body]()
    assert await patch_if_there(api, "/a", PATCH, "status", taken_in.append) is None
    assert not api.answers
    assert not taken_in


async def test_what_others_write_to_is_taken_in_and_tried_again() -> None:
    api, taken_in = _Api(CONFLICT, _object("u1")), list[Body]()
    with pytest.raises(ApiError) as caught:
        await patch_if_there(api, "/a", PATCH, "status", taken_in.append)
    assert caught.value is CONFLICT
    assert taken_in == [_object("u1")]
    assert api.asked == ["PATCH /a/status", "GET /a"]


@pytest.mark.parametrize("behind", [[], [CONFLICT]], ids=["at once", "as it is looked at"])
async def test_what_else_the_api_server_says_is_raised(behind: list[ApiError]) -> None:
    busy = ApiError(503, "ServiceUnavailable", "later")
    with pytest.raises(ApiError) as caught:
        await patch_if_there(_Api(*behind, busy), "/a", PATCH)
    assert caught.value is busy
