"""A worker from elsewhere that has no keys of S3: what the operator signs for it, and what not."""

from pathlib import Path
from typing import Any

import pytest
import urllib3

from bec_ops.contract.protocol import Signed
from bec_ops.contract.s3.places import open_place
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.operator_client import RefusedError
from bec_ops.link.signed_store import SignedStore
from bec_ops.link.stopping import Stop
from bec_ops.runtime.attempt import Attempt
from tests.integration.outside.conftest import Gate
from tests.support.jobs import counts, job, numbered
from tests.support.outsiders import Outsider
from tests.support.space import Space
from tests.support.waiting import until

ONLY = {"allowed": True, "only": True, "presigned": True}
BIG = 20 << 20
HTTP = urllib3.PoolManager(retries=False)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BEC_S3_PATIENCE", "5")


def store_of(worker: Outsider, task: Task, calls: list[str] | None = None) -> SignedStore:
    """Return a store by what the operator signs; `calls` gets the operation of each call."""

    def ask(**fields: Any) -> Signed:
        requests = [each.model_dump() for each in fields.pop("requests")]
        if calls is not None and requests:
            calls.append(requests[0]["operation"])
        answer = worker.report("sign", requests=requests)
        if answer.status != 200:
            raise RefusedError(answer.body["error"], answer.body["message"])
        return Signed.model_validate(answer.body)

    return SignedStore(ask, task, lambda: False)


def begun(space: Space, gate: Gate, name: str, **outside: Any) -> tuple[Outsider, Task]:
    space.submit(job(name, space.bucket, numbered(1), outside={**ONLY, **outside}))
    worker = gate.worker(gate.token(space))
    return worker, Task.model_validate(worker.next().body["task"])


def signed(worker: Outsider, operation: str, key: str, **fields: Any) -> Any:
    answer = worker.report("sign", requests=[{"operation": operation, "key": key, **fields}])
    assert answer.status == 200, answer.body
    return answer.body["signed"][0]


def test_a_volume_without_keys(space: Space, gate: Gate, tmp_path: Path) -> None:
    live = space.submit(job("keyless", space.bucket, numbered(1), outside=ONLY))
    worker = gate.worker(gate.token(space))
    task = Task.model_validate(worker.next().body["task"])
    calls: list[str] = []
    store = store_of(worker, task, calls)
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * (BIG // 256))
    attempt = Attempt(
        task, Surroundings(), Stop(), place=open_place(task.output_uri, lambda: store)
    )
    assert not attempt.end_if_done()
    attempt.output.write("text/page 1+ä.txt", "one")
    attempt.output.upload("big.bin", big)
    attempt.output.put_log("_logs/attempt-1.log", b"printed")
    assert sorted(store.list_keys(task.bucket, task.prefix)) == space.stored(task.prefix)
    attempt.succeed()
    assert space.read(f"{task.prefix}big.bin") == big.read_bytes()
    assert space.read(f"{task.prefix}text/page 1+ä.txt") == b"one"
    head = store.head(task.bucket, f"{task.prefix}big.bin")
    assert head is not None
    assert head.size == BIG
    assert head.etag.endswith("-3"), "it went in parts"
    assert 1 <= calls.count("UploadPart") < 3, "the next parts are signed with the first"
    assert store.get(task.bucket, f"{task.prefix}none") is None
    assert attempt.output.marker() is not None
    assert worker.report("done").status == 200
    assert counts(live.wait_complete())["succeeded"] == 1


def test_nothing_outside_of_its_prefix(space: Space, gate: Gate) -> None:
    worker, task = begun(space, gate, "fenced")
    space.put("artefacts/fenced/other.txt", b"somebody else's")
    store = store_of(worker, task)
    for tried in (
        lambda: store.get(space.bucket, "artefacts/fenced/other.txt"),
        lambda: store.put(space.bucket, f"{task.prefix}../other.txt", b"x"),
        lambda: store.put("another-bucket", f"{task.prefix}a.txt", b"x"),
        lambda: list(store.list_keys(space.bucket, "artefacts/")),
        lambda: store.delete(space.bucket, f"{task.prefix}a.txt"),
    ):
        with pytest.raises(StoreError) as refused:
            tried()
        assert refused.value.reason == "Forbidden"
    assert space.read("artefacts/fenced/other.txt") == b"somebody else's"


def test_keys_that_lead_elsewhere(space: Space, gate: Gate) -> None:
    worker, _ = begun(space, gate, "keys")
    for key in ("../b", "a/../../b", "/a", "a//b", "..\\b", "a\n", "./a", "", "a/", "%2e/../b"):
        asked = {"operation": "PutObject", "key": key}
        assert worker.report("sign", requests=[asked]).refused == (400, "Invalid"), key


def test_an_address_is_good_for_what_it_was_signed_for(space: Space, gate: Gate) -> None:
    worker, task = begun(space, gate, "exact")
    url = signed(worker, "PutObject", "a.txt", content_type="text/plain")["url"]
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    typed = {"Content-Type": "text/plain"}
    for method, address, headers in (
        ("PUT", url.replace("a.txt", "b.txt"), typed),
        ("PUT", url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"), typed),
        ("PUT", url, {"Content-Type": "text/html"}),
        ("DELETE", url, typed),
        ("GET", url, typed),
    ):
        assert HTTP.request(method, address, headers=headers, timeout=10).status == 403, address
    listed = signed(worker, "ListObjectsV2", "")["url"]
    wider = listed.replace("prefix=", "prefix=&was=")
    assert HTTP.request("GET", listed, timeout=10).status == 200
    assert HTTP.request("GET", wider, timeout=10).status == 403
    assert space.stored(task.prefix) == []
    assert HTTP.request("PUT", url, body=b"one", headers=typed, timeout=10).status == 200
    assert space.read(f"{task.prefix}a.txt") == b"one"


def test_what_another_job_has_written_is_read_and_no_more(space: Space, gate: Gate) -> None:
    space.submit(job("first", space.bucket, numbered(1), outside={**ONLY, "marker": "OnDone"}))
    worker = gate.worker(gate.token(space))
    first = Task.model_validate(worker.next(jobs=["first"]).body["task"])
    store_of(worker, first).put(first.bucket, f"{first.prefix}page.txt", b"read me")
    assert worker.report("done").status == 200
    after = {"outside": ONLY, "dependsOn": [{"job": "first"}]}
    space.submit(job("second", space.bucket, numbered(1), **after))
    given = until(lambda: worker.next(jobs=["second"], wait=5).body.get("task"), "it is given", 40)
    store = store_of(worker, Task.model_validate(given))
    assert store.dependencies() == {"first": first.output_uri}
    assert store.get(first.bucket, f"{first.prefix}page.txt") == b"read me"
    assert f"{first.prefix}page.txt" in list(store.list_keys(first.bucket, first.prefix))
    with pytest.raises(StoreError) as refused:
        store.put(first.bucket, f"{first.prefix}page.txt", b"changed")
    assert refused.value.reason == "Forbidden"
    assert space.read(f"{first.prefix}page.txt") == b"read me"


def test_only_where_the_job_says_so(space: Space, gate: Gate) -> None:
    worker, _ = begun(space, gate, "unsigned", presigned=False)
    refused = worker.report("sign", requests=[])
    assert refused.refused == (403, "Forbidden")
    assert "spec.outside.presigned" in refused.body["message"]


def test_only_for_who_has_the_task(space: Space, gate: Gate) -> None:
    worker, _ = begun(space, gate, "lapsed", lease="3s")
    other = gate.worker(gate.token(space), "thief")
    other.about = worker.about
    assert other.report("sign", requests=[]).refused == (410, "Gone")
    given = until(lambda: other.next(wait=5).body["task"], "the lease is over", 30)
    assert given["attempt"] == 2
    assert worker.report("sign", requests=[]).refused == (410, "Gone")
    assert other.report("sign", requests=[]).status == 200


def test_bounds(space: Space, gate: Gate) -> None:
    worker, _ = begun(space, gate, "bounds")
    asked = {"operation": "GetObject", "key": "a"}
    assert worker.report("sign", requests=[asked] * 101).refused == (400, "Invalid")
    assert len(worker.report("sign", requests=[asked] * 100).body["signed"]) == 100
    for wrong in (
        {"operation": "DeleteObject", "key": "a"},
        {"operation": "UploadPart", "key": "a"},
        {"operation": "GetObject", "key": "a" * 1024},
    ):
        assert worker.report("sign", requests=[wrong]).refused == (400, "Invalid")
    strange = {**asked, "job_id": "another"}
    assert worker.report("sign", requests=[strange]).refused == (403, "Forbidden")


def test_headers_that_would_copy_from_elsewhere_or_open_an_object(space: Space, gate: Gate) -> None:
    worker, task = begun(space, gate, "copied")
    space.put("artefacts/copied/other.txt", b"somebody else's")
    whole = signed(worker, "PutObject", "a.txt")["url"]
    upload = space.s3.create_multipart_upload(Bucket=space.bucket, Key=f"{task.prefix}b.txt")
    part = signed(worker, "UploadPart", "b.txt", upload_id=upload["UploadId"], part=1)["url"]
    source = {"x-amz-copy-source": f"/{space.bucket}/artefacts/copied/other.txt"}
    for url, headers in ((whole, source), (part, source), (whole, {"x-amz-acl": "public-read"})):
        answer = HTTP.request("PUT", url, headers=headers, timeout=10)
        assert answer.status == 403, (headers, answer.status, answer.data)
    for more in ("&acl", "&tagging", "&uploads"):
        assert HTTP.request("PUT", whole + more, timeout=10).status == 403, more
    assert space.stored(task.prefix) == []
