"""The real clients, unchanged: those of today, and of 2023."""

import json
from pathlib import Path

import pytest

from tests.integration.outside.data_dispatcher.conftest import (
    Face,
    MakeDdisp,
    MakeProject,
    release,
    reserve,
)
from tests.support.ddisp import NEW, OLD, ended
from tests.support.jobs import counts, numbered
from tests.support.space import Space

EXAMPLE = Path(__file__).parents[4] / "examples/faces/data_dispatcher"


def test_the_loop_by_python_to_the_end(
    project: MakeProject, ddisp: MakeDdisp, space: Space
) -> None:
    made = project(numbered(3))
    worker = ddisp(made)
    script = str(EXAMPLE / "worker.py")
    ran = worker(script, str(made.number), "cern", "echo", "works on", program="python")
    assert ran.code == 0, ran
    assert "the project is over" in ran.out
    assert f"works on s3://{space.bucket}/artefacts/pages/W1-I0-v1/" in ran.out
    assert counts(made.live.wait_complete())["succeeded"] == 3
    marker = json.loads(space.read("artefacts/pages/W1-I0-v1/success.json"))
    assert marker["face"] == "data-dispatcher"
    assert marker["worker"] == (worker.home / ".data_dispatcher_worker_id").read_text()
    assert marker["enrolment"] == made.enrolment[0]


def test_the_loop_by_commands_over_tls(
    project: MakeProject, ddisp: MakeDdisp, face: Face, home: Path
) -> None:
    over = project(numbered(1), "over")
    handle = reserve(face, over)
    assert release(face, over, handle, failed="no", worker_id="w").status == 200
    over.live.wait_complete()
    made = project(numbered(2), maxFailed=1)
    fails = ("/bin/bash", "-c", "exit 1")
    script = str(EXAMPLE / "worker.sh")
    running = [  # each waits for up to ten seconds before it asks
        ddisp(of, NEW, face.tls_url, home / "ca.crt").start(script, str(of.number), "cern", *does)
        for of, does in ((made, ("/bin/true",)), (made, fails), (over, fails))
    ]
    told = [ended(process) for process in running]
    assert {(ran.code, ran.err) for ran in told} == {(0, "")}
    assert [ran.out for ran in told] == ["", "", "the project is over\n"]
    found = made.live.wait_complete()
    assert (counts(found)["succeeded"], counts(found)["failed"]) == (1, 1)


@pytest.mark.parametrize("version", [NEW, OLD])
def test_what_has_failed_comes_again_unless_that_was_final(
    project: MakeProject, ddisp: MakeDdisp, version: str
) -> None:
    made = project(numbered(1), retry={"maxAttempts": 5})
    worker = ddisp(made, version)
    ran = worker.script(f"""
for n in (1, 2, 3):
    handle = client.next_file({made.number}, stagger=0)
    did = handle["namespace"] + ":" + handle["name"]
    print(handle["state"], handle["attempts"], handle["worker_id"] == client.WorkerID)
    client.file_failed({made.number}, did, retry=n < 3)
print(client.next_file({made.number}, stagger=0), client.get_project({made.number})["state"])
""")
    said = "reserved 1 True\nreserved 2 True\nreserved 3 True\nFalse failed\n"
    assert (ran.code, ran.out) == (0, said), ran
    found = made.live.wait_phase("Failed")
    assert counts(found)["failed"] == 1


def test_commands_about_files_that_are_reserved(project: MakeProject, ddisp: MakeDdisp) -> None:
    made = project(numbered(3))
    worker = ddisp(made)
    assert worker("worker", "id", "who: 50% & more").code == 0
    number = str(made.number)
    ran = worker.script(f"""
for _ in range(2):
    client.next_file({made.number}, worker_id="a/worker (2)", stagger=0)
print(client.get_handle({made.number}, "W1", "I0@v1")["worker_id"])
print(client.list_handles({made.number}, state="initial")[0]["name"])
print([p["project_id"] for p in client.list_projects(attributes={{"bec_job_id": "pages"}})])
""")
    assert (ran.code, ran.out) == (0, f"a/worker (2)\nI2@v1\n[{number}]\n"), ran
    listed = worker("worker", "list", "-j", "-w", "a/worker (2)", number)
    told = json.loads(listed.out)
    assert [handle["name"] for handle in told] == ["I0@v1", "I1@v1"]
    assert told[0]["reserved_since"] > 1_700_000_000
    assert worker("worker", "id", "a/worker (2)").code == 0
    done = worker("worker", "done", number, "all")
    assert (done.code, done.out, done.err) == (0, "", "")
    made.live.wait_counts(succeeded=2)
    asked = [("project", "show", number), ("project", "list"), ("version",)]
    shown, found, version = [
        ended(process) for process in [worker.start("ddisp", *a) for a in asked]
    ]
    assert "Status:              active" in shown.out, shown
    assert "reserved" not in shown.out
    assert f"{number} " in found.out, found
    assert "bec-operator" in version.out


def test_the_client_of_2023_says_not_who_it_is(project: MakeProject, ddisp: MakeDdisp) -> None:
    made = project(numbered(2))
    number = str(made.number)
    worker = ddisp(made, OLD)
    ran = worker("worker", "next", "-j", number)
    assert (ran.code, ran.out) == (0, "W1:I0@v1\n"), ran
    ran = worker("worker", "done", number, "W1:I0@v1")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    made.live.wait_counts(succeeded=1)
    refused = worker("worker", "done", number, "W1:I1@v1")
    assert refused.code == 1
    assert "nobody has the file W1:I1@v1" in refused.err


def test_what_makes_no_sense_on_a_job_is_refused(project: MakeProject, ddisp: MakeDdisp) -> None:
    made = project(numbered(1))
    worker = ddisp(made)
    number = str(made.number)
    (worker.home / "files").write_text("".join(f"ns:file-{n}\n" for n in range(20_000)))
    refused = (
        (("create", "-l", "files"), "make a Job by kubectl"),
        (("copy", number), "make another Job"),
        (("restart", "-f", number), "spec.retryFailedAt"),
        (("cancel", number), "spec.suspend"),
        (("delete", number), "delete the Job"),
        (("activate", number), "no Job is abandoned"),
    )
    running = [worker.start("ddisp", "project", *arguments) for arguments, _ in refused]
    for process, (_, said) in zip(running, refused, strict=True):
        ran = ended(process)
        assert said in ran.err, ran
        assert ran.code == 1
    assert made.live.read()["spec"].get("suspend") in {None, False}
