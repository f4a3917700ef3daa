"""What the client makes of answers: an error is never to be read as the end of a project."""

import json
from urllib.parse import quote

import pytest

from bec_ops.contract.volume import Volume
from tests.integration.outside.data_dispatcher.conftest import (
    OUTSIDE,
    Face,
    MakeDdisp,
    MakeProject,
    release,
    reserve,
)
from tests.support.ddisp import NEW, OLD, Ddisp
from tests.support.jobs import counts, numbered
from tests.support.space import Space

NEXT = "/next_file?project_id={}&worker_id=w&cpu_site={}"


@pytest.mark.parametrize("version", [NEW, OLD])
def test_1_who_may_not_ask_is_told_that_there_is_nothing_now(
    project: MakeProject, face: Face, ddisp: MakeDdisp, version: str
) -> None:
    made = project(numbered(1))
    worker = ddisp(made, version)
    ask = f"print(client.next_file({made.number}, timeout=0.5, stagger=0))"
    stranger = Ddisp(version, face.url, worker.home / "elsewhere")
    stranger.home.mkdir()
    assert stranger.script(ask).out == "True\n"
    (stranger.home / ".token_library").write_text(f"{face.url} {made.login[:-4]}AAAA\n")
    assert stranger.script(ask).out == "True\n"
    assert worker.script(ask).out.startswith("{")


def test_1_a_site_that_is_not_allowed_and_a_job_that_is_suspended(
    project: MakeProject, face: Face, space: Space
) -> None:
    made = project(numbered(1), suspend=True)
    answer = face.get(NEXT.format(made.number, "DEFAULT"), made.login)
    assert (answer.status, answer.told) == (
        200,
        {"handle": None, "reason": "retry", "retry": True},
    )
    login = face.login(space, sites="cern,fnal")
    answer = face.get(NEXT.format(made.number, "moon"), login)
    assert answer.status == 200
    assert answer.told["retry"] is True
    assert "moon" in answer.told["reason"]


def test_2_and_3_all_that_is_good_is_200_and_text_json(project: MakeProject, face: Face) -> None:
    made = project(numbered(1))
    number, login = made.number, made.login
    handle = reserve(face, made)
    for path in (
        f"/project?project_id={number}&with_files=yes&with_replicas=yes",
        f"/handles?project_id={number}&state=reserved",
        "/projects?state=active&not_state=abandoned&with_handles=yes&with_replicas=no",
        NEXT.format(number, "DEFAULT"),
    ):
        answer = face.get(path, login)
        assert (answer.status, answer.kind) == (200, "text/json; charset=utf-8"), path
    answer = release(face, made, handle, failed="no", worker_id="w")
    assert (answer.status, answer.kind) == (200, "text/json; charset=utf-8")
    made.live.wait_complete()
    answer = face.get(NEXT.format(number, "DEFAULT"), login)
    over = {"handle": None, "reason": "project inactive", "retry": False}
    assert (answer.status, answer.kind) == (200, "text/json; charset=utf-8")
    assert answer.told == over


def test_4_a_project_that_is_not_there(project: MakeProject, face: Face, ddisp: MakeDdisp) -> None:
    made = project(numbered(1))
    missing = made.number + 1
    answer = face.get(f"/project?project_id={missing}", made.login)
    assert answer.status == 404
    assert answer.body.decode().startswith(f"there is no project {missing} for you")
    ask = f"print(client.get_project({missing}), client.next_file({missing}, stagger=0))"
    assert ddisp(made).script(ask).out == "None False\n"
    assert "NotFoundError" in ddisp(made, OLD).script(ask).err


def test_5_names_that_urls_would_not_bear(project: MakeProject, ddisp: MakeDdisp) -> None:
    odd = [
        Volume("W#1&2", "I+%41 b:c", "v@1"),
        Volume("བོད་", "a/b~c", ""),
        Volume("W", "all", "?=*'\"$\\"),
    ]
    made = project(odd)
    ran = ddisp(made).script(f"""
import json
while handle := client.next_file({made.number}, stagger=0):
    if handle is True:
        continue
    did = handle["namespace"] + ":" + handle["name"]
    print(json.dumps([did, handle["attributes"]]))
    client.file_done({made.number}, did)
""")
    assert ran.code == 0, ran
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert {(a["w_id"], a["i_id"], a["i_version"]) for _, a in told} == {*odd}
    assert not {*"#&+%? '"} & {*"".join(did for did, _ in told)}
    assert counts(made.live.wait_complete())["succeeded"] == 3


def test_5_what_is_cut_off_counts_for_nothing(project: MakeProject, face: Face) -> None:
    made = project(numbered(1))
    handle = reserve(face, made)
    answer = release(face, made, handle)
    assert answer.status == 400
    assert "failed is missing" in answer.body.decode()
    (found,) = face.get(f"/handles?project_id={made.number}", made.login).told
    assert found["state"] == "reserved"


def test_6_what_is_said_twice_counts_once_and_no_cache_keeps_it(
    project: MakeProject, face: Face
) -> None:
    made = project(numbered(2))
    handle = reserve(face, made)
    for _ in range(2):
        answer = release(face, made, handle, failed="no", worker_id="w")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
    answer = release(face, made, handle, failed="yes", retry="no", worker_id="w")
    assert answer.status == 404
    path = f"/release?handle_id={made.number}:W1:I1@v1&failed=no&worker_id=w"
    assert face.send("HEAD", path, made.login).status == 405
    made.live.wait_counts(succeeded=1)


def test_6_failed_and_then_done_is_failed(project: MakeProject, face: Face) -> None:
    made = project(numbered(1))
    handle = reserve(face, made)
    assert release(face, made, handle, failed="yes", retry="no", worker_id="w").status == 200
    assert release(face, made, handle, failed="no", worker_id="w").status == 404
    assert counts(made.live.wait_phase("Failed"))["failed"] == 1


def test_7_whose_it_is_is_found_by_the_file(project: MakeProject, face: Face) -> None:
    made = project(numbered(2))
    ours, theirs = reserve(face, made, quote("old client")), reserve(face, made, "b")
    assert release(face, made, theirs, failed="no", worker_id="other").status == 403
    assert release(face, made, ours, failed="no").status == 200
    assert release(face, made, theirs, failed="no").status == 200
    assert counts(made.live.wait_complete())["succeeded"] == 2


def test_8_replicas_have_names_and_parameters_come_along(project: MakeProject, face: Face) -> None:
    made = project(numbered(1), outside={**OUTSIDE, "longLease": "2h"})
    handle = reserve(face, made, site="cern")
    (replica,) = handle["replicas"].values()
    assert handle["replicas"].keys() == {"s3"}
    assert replica["url"] == handle["attributes"]["output_uri"]
    assert replica["available"] is replica["rse_available"] is True
    assert handle["project_attributes"]["bec_job_id"] == "pages"
    shown = face.get(f"/project?project_id={made.number}", made.login).told
    assert shown["worker_timeout"] == 7200
