"""New versions of volumes while a Job runs: each is a volume of its own, the old ones stay."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bec_operator.act.ground.api_server import core
from bec_operator.act.volumes.version_ways import object_key
from bec_operator.api.names import ledger_name
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang, succeed
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, condition, counts, csv, is_true, job, manifest
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

KEY = "lists/volumes.csv"
TEMPLATE = "Works/{w_md5}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"
FIVE = [Volume("W22084", f"I088{number}") for number in range(5)]
QUERY = "SELECT w_id, i_id, i_version FROM versions WHERE (w_id, i_id) IN :volumes"


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogue") / "versions.db"


@pytest.fixture(scope="module")
def operator(
    make_operator: MakeOperator,
    proxy: S3Faults,
    catalogue: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Operator]:
    mounted = Mounted(tmp_path_factory.mktemp("connections"), catalogue={"kind": "sql"})
    mounted.put("catalogue", url=f"sqlite:///{catalogue}")
    with make_operator(s3=proxy.s3, list_every=1.0, **mounted.settings) as operator:
        yield operator


@pytest.fixture
def faults(proxy: S3Faults, operator: Operator) -> Iterator[S3Faults]:
    yield proxy
    proxy.heal()
    assert operator.running


def have(space: Space, volume: Volume, content: str) -> Volume:
    """Put the object of a volume there; return the volume with the version that follows from it."""
    key = object_key(TEMPLATE, volume)
    space.put(key, f"{volume} {content}".encode())
    etag = space.s3.head_object(Bucket=space.bucket, Key=key)["ETag"]
    return volume._replace(i_version=etag.strip('"')[:6])


def lose(space: Space, volume: Volume) -> None:
    space.s3.delete_object(Bucket=space.bucket, Key=object_key(TEMPLATE, volume))


def versions(space: Space, follow: str | None = "1s") -> Body:
    return {"etag": {"uri": f"s3://{space.bucket}/{TEMPLATE}"}, "follow": follow}


def submit(
    space: Space, listed: Sequence[Volume], follow: str = "1s", name: str = "ocr", **spec: object
) -> LiveJob:
    space.put(KEY, csv(listed))
    source = {**manifest(space.bucket, KEY), "versions": versions(space, follow)}
    return space.submit(job(name, space.bucket, source, **spec))


def looked_at(space: Space, name: str = "ocr") -> str:
    """Return when the last look was over, as the ledger has it."""
    ledger = space.ledger(name)
    return str(ledger["data"].get("versionsFollowedAt", "")) if ledger is not None else ""


def wait_look(space: Space, name: str = "ocr") -> None:
    """Wait until a look is over that began after this."""
    for _ in range(2):  # the first may have begun before
        before = looked_at(space, name)
        until(lambda: looked_at(space, name) != before, "a look is over")  # noqa: B023


def waits(found: Body) -> bool:
    return condition(found, "Ready")["reason"] == "WaitingForVersions"


def wait_done(live: LiveJob, number: int) -> Body:
    live.wait_counts(total=number, succeeded=number)
    return live.wait(waits, "it waits for new versions")


@pytest.mark.usefixtures("operator")
def test_a_changed_object_is_a_new_volume_and_the_old_one_stays(
    space: Space, workers: Workers
) -> None:
    first = [have(space, volume, "as it was") for volume in FIVE]
    live = submit(space, FIVE)
    found = wait_done(live, 5)
    assert is_true(found, "Ready")
    assert not is_true(found, "Complete")

    reason = '{.status.conditions[?(@.type=="Ready")].reason}'
    waiting = f"--for=jsonpath={reason}=WaitingForVersions"
    space.kubectl("wait", "bj/ocr", waiting, "--timeout=10s")

    changed = have(space, FIVE[2], "corrected")
    wait_done(live, 6)

    assert space.frozen("ocr") == [*first, changed]
    assert (
        "1 volume has a new version, 6 in all" in space.events("ocr", "VersionsAdded")[0]["message"]
    )
    assert have(space, FIVE[2], "as it was") == first[2]
    wait_look(space)
    assert counts(live.read()) == {"total": 6, "succeeded": 6}, "that one is done"
    places = {f"artefacts/ocr/{'-'.join(volume)}/success.json" for volume in [*first, changed]}
    assert places < set(space.stored("artefacts/"))
    workers.runs.check_each_ran_once(6)


@pytest.mark.usefixtures("operator")
def test_what_runs_goes_on_beside_its_new_version(space: Space, workers: Workers) -> None:
    have(space, FIVE[0], "as it was")
    workers.behaviour = hang
    live = submit(space, FIVE[:1])
    workers.running(1)
    have(space, FIVE[0], "corrected")
    live.wait_counts(total=2, running=2)
    workers.release()
    wait_done(live, 2)
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("operator")
def test_a_version_that_is_gone_changes_nothing_and_one_that_comes_is_done(
    space: Space, workers: Workers
) -> None:
    for volume in FIVE[:2]:
        have(space, volume, "as it was")
    live = submit(space, FIVE[:3], maxFailed=1)
    live.wait_counts(total=3, succeeded=2, failed=1)

    lose(space, FIVE[0])
    told = "1 volume has no version now; what was done stays"
    live.wait(lambda found: told in condition(found, "Ready")["message"], told)
    assert counts(live.read()) == {"total": 3, "succeeded": 2, "failed": 1}

    came = have(space, FIVE[2], "late")
    live.wait_counts(total=4, succeeded=3, failed=1)
    assert space.frozen("ocr")[3] == came
    have(space, FIVE[0], "as it was")
    live.wait(lambda found: told not in condition(found, "Ready")["message"], "it is back")
    assert counts(live.read()) == {"total": 4, "succeeded": 3, "failed": 1}
    live.patch(retryFailedAt="2026-11-01T00:00:00Z")
    live.wait_counts(total=4, succeeded=3, skipped=1)
    workers.runs.check_each_ran_once(3)


def test_a_restart_does_not_look_again_before_its_time(
    space: Space, workers: Workers, operator: Operator
) -> None:
    have(space, FIVE[0], "as it was")
    live = submit(space, FIVE[:1], follow="1h")
    older = submit(space, FIVE[:1], follow="1h", name="older")
    found = wait_done(live, 1)
    wait_done(older, 1)
    assert "the next look is at " in condition(found, "Ready")["message"]
    at = looked_at(space)
    assert at, "when all versions were found is stored with the first ledger"

    operator.kill()
    have(space, FIVE[0], "corrected")
    ledger = core(space.namespace, "configmaps", ledger_name("older"))
    space.kube.patch(ledger, {"data": {"versionsFollowedAt": None}})  # as one of before has it
    operator.start()

    wait_done(older, 2)
    throughout(1, lambda: counts(live.read())["total"] == 1, "nobody looks")
    assert looked_at(space) == at
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("operator")
def test_a_suspended_job_does_not_look(space: Space, workers: Workers) -> None:
    have(space, FIVE[0], "as it was")
    live = submit(space, FIVE[:1])
    wait_done(live, 1)
    live.patch(suspend=True)
    live.wait_phase("Suspended")
    have(space, FIVE[0], "corrected")
    until(lambda: counts(live.read()) == {"total": 1, "succeeded": 1}, "nothing is added")
    at = looked_at(space)
    throughout(2.5, lambda: looked_at(space) == at, "nobody looks")

    live.patch(suspend=False)
    wait_done(live, 2)
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("operator")
def test_a_list_grows_while_versions_change(space: Space, workers: Workers) -> None:
    first = [have(space, volume, "as it was") for volume in FIVE[:3]]
    live = submit(space, FIVE[:3])
    wait_done(live, 3)

    changed = have(space, FIVE[0], "corrected")
    named = FIVE[1]._replace(i_version="of-the-list")
    came = have(space, FIVE[3], "as it was")
    listed = [*FIVE[:4], named]
    space.put(KEY, "".join(f"{','.join(volume)}\n" for volume in listed).encode())
    wait_done(live, 6)

    frozen = space.frozen("ocr")
    assert frozen[:3] == first, "nothing moves"
    assert {*frozen[3:]} == {changed, came, named}
    wait_look(space)
    assert counts(live.read()) == {"total": 6, "succeeded": 6}
    workers.runs.check_each_ran_once(6)


@pytest.mark.usefixtures("operator")
def test_a_new_version_waits_for_that_of_the_other_job(space: Space, workers: Workers) -> None:
    have(space, FIVE[0], "as it was")
    lines = submit(space, FIVE[:1], name="lines")
    after = [{"job": "lines"}]
    text = submit(space, FIVE[:1], name="text", dependsOn=after)
    wait_done(lines, 1)
    wait_done(text, 1)

    workers.behaviour = hang
    have(space, FIVE[0], "corrected")
    lines.wait_counts(total=2, running=1)
    text.wait_counts(total=2, waiting=1)
    (run,) = workers.running(1)
    workers.play(run, succeed)
    text.wait_counts(running=1)
    workers.release()
    wait_done(text, 2)
    workers.runs.check_each_ran_once(4)


def test_what_gives_no_answer_holds_up_nothing_else(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    for volume in FIVE:
        have(space, volume, "as it was")
    live = submit(space, FIVE)
    wait_done(live, 5)
    faults.refuse(403, "HeadObject", "W22084-0882")
    have(space, FIVE[2], "corrected")
    have(space, FIVE[4], "corrected")

    live.wait_counts(total=6, succeeded=6)
    assert "W22084-0882" in live.wait_stalled("StorageForbidden")
    faults.heal()
    wait_done(live, 7)
    workers.runs.check_each_ran_once(7)


@pytest.mark.usefixtures("operator")
def test_a_job_that_follows_no_more_ends_and_goes_on_if_it_does_again(
    space: Space, workers: Workers
) -> None:
    have(space, FIVE[0], "as it was")
    live = submit(space, FIVE[:1])
    wait_done(live, 1)
    source = manifest(space.bucket, KEY)
    live.patch(volumes={**source, "versions": versions(space, None)})
    live.wait_complete()

    have(space, FIVE[0], "corrected")
    live.patch(volumes={**source, "versions": versions(space)})
    found = wait_done(live, 2)
    assert not is_true(found, "Complete")
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("operator")
def test_versions_of_a_database_are_followed(
    space: Space, workers: Workers, catalogue: Path
) -> None:
    def tell(*told: tuple[str, str, str]) -> None:
        with closing(sqlite3.connect(catalogue)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS versions (w_id, i_id, i_version)")
            database.execute("DELETE FROM versions")
            database.executemany("INSERT INTO versions VALUES (?, ?, ?)", told)

    tell(("W1", "I1", "v1"), ("W1", "I2", "v1"))
    space.put(KEY, csv([Volume("W1", "I1"), Volume("W1", "I2")]))
    way = {"sql": {"connection": "catalogue", "query": QUERY}, "follow": "1s"}
    source = {**manifest(space.bucket, KEY), "versions": way}
    live = space.submit(job("ocr", space.bucket, source))
    wait_done(live, 2)

    tell(("W1", "I1", "v2"))
    wait_done(live, 3)
    assert space.frozen("ocr")[2] == Volume("W1", "I1", "v2")
    told = "1 volume has no version now"
    live.wait(lambda found: told in condition(found, "Ready")["message"], told)
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("follow", ["0s", "daily", "24"])
def test_what_is_no_time_is_refused(space: Space, follow: str) -> None:
    with pytest.raises(Exception, match=r"spec\.volumes\.versions\.follow"):
        submit(space, FIVE, follow)
