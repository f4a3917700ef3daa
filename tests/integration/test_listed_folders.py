"""Folders in S3 as the source of a Job: found by LISTs of folders, and nothing in them is read."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from bec_operator.act.ground.storage import Storage
from bec_operator.act.volumes.version_ways import object_key
from bec_operator.act.volumes.walk import Folders, find_folders
from bec_operator.sources.folder_template import FolderTemplate
from bec_operator.sources.listed_folders import volumes_of_folders
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import LiveJob, condition, counts, job
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.workers import Workers

pytestmark = pytest.mark.stores

OBJECT = "Works/{w_md5}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"
FOLDERS = "Works/{shard}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"
HUNDRED = [Volume(f"W{number}", f"I{number:04}") for number in range(100)]
FORTY = HUNDRED[:40]
THREE = HUNDRED[:3]


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, proxy: S3Faults) -> Iterator[Operator]:
    with make_operator(s3=proxy.s3) as operator:
        yield operator


@pytest.fixture
def faults(proxy: S3Faults, operator: Operator) -> Iterator[S3Faults]:
    yield proxy
    proxy.heal()
    assert operator.running


@pytest.fixture
def storage(store: Store, proxy: S3Faults) -> Iterator[Storage]:
    """S3 as the operator has it, through the proxy; `store` is there for the environment."""
    del store
    storage = Storage(Store(proxy.url), 8)
    yield storage
    storage.close()


def have(space: Space, volumes: Iterable[Volume], pages: int = 1) -> None:
    """Put the folders of volumes there, with so many pages beside what the versions are of."""
    bodies = {object_key(OBJECT, volume): str(volume).encode() for volume in volumes}
    folders = [key.removesuffix("dimensions.json") for key in bodies]
    bodies |= {f"{folder}{n:04}.jpg": b"page" for folder in folders for n in range(pages)}
    put_all(space, bodies)


def put_all(space: Space, bodies: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(space.put, bodies, bodies.values()))


def in_key_order(volumes: Iterable[Volume]) -> list[Volume]:
    return sorted(volumes, key=lambda volume: object_key(OBJECT, volume))


def source(space: Space, uri: str = FOLDERS, bucket: str = "", **more: object) -> Body:
    return {"s3": {"uri": f"s3://{bucket or space.bucket}/{uri}", **more}}


def submit(space: Space, every: str = "1s", **spec: object) -> LiveJob:
    return space.submit(job("ocr", space.bucket, source(space, every=every), **spec))


# --- the walk itself


async def walk(
    storage: Storage, space: Space, uri: str, **most: int
) -> tuple[Folders, list[Volume]]:
    template = FolderTemplate.parse(f"s3://{space.bucket}/{uri}")
    most = {"max_volumes": 10_000, "max_others": 10_000, **most}
    folders = await find_folders(storage, template, **most)
    return folders, list(volumes_of_folders(template, lambda: folders))


async def test_a_list_a_folder_above_the_volumes_and_none_in_them(
    space: Space, storage: Storage, proxy: S3Faults
) -> None:
    shuffled = list(HUNDRED)
    Random(1).shuffle(shuffled)
    have(space, shuffled, pages=3)
    shards = {object_key("{w_md5}", volume) for volume in HUNDRED}
    asked = proxy.requests.copy()

    folders, volumes = await walk(storage, space, FOLDERS)

    assert volumes == in_key_order(HUNDRED)
    assert list(folders) == sorted(folders)
    made = proxy.requests - asked
    assert made == {"ListObjectsV2": 1 + len(shards) + len(HUNDRED)}


async def test_thousands_of_folders_in_one(space: Space, storage: Storage, proxy: S3Faults) -> None:
    expected = [Volume("W1", f"I{number:04}") for number in range(2000)]
    put_all(space, {f"all/W1/{v.i_id[1:]}/1.jpg": b"" for v in expected})
    asked = proxy.requests.copy()

    _, volumes = await walk(storage, space, "all/{w_id}/{i_folder}/")

    assert volumes == expected
    assert (proxy.requests - asked)["ListObjectsV2"] <= 4
    assert (await walk(storage, space, "all/{w_id}/{i_folder}/", max_volumes=2000))[1] == expected
    with pytest.raises(ListError, match=r"more than 1,999 folders fit it, s3://.*/all/W1/"):
        await walk(storage, space, "all/{w_id}/{i_folder}/", max_volumes=1999)
    with pytest.raises(ListError, match=r"more than 500 folders were listed .* are no volume"):
        await walk(storage, space, "all/{w_id}/{i_id}9/", max_others=500)


async def test_objects_whose_names_are_volumes(space: Space, storage: Storage) -> None:
    put_all(space, {f"lists/W1/W1-I{n}-v{n}.txt": b"" for n in range(3)})

    _, volumes = await walk(storage, space, "lists/{w_id}/{w_id}-{i_id}-v1.txt")
    assert volumes == [Volume("W1", "I1")]
    _, volumes = await walk(storage, space, "lists/{w_id}/{w_id}-I{i_id}.txt")
    assert [v.i_id for v in volumes] == ["0-v0", "1-v1", "2-v2"]


# --- a Job over it


@pytest.mark.usefixtures("operator")
def test_the_archive_with_its_versions(space: Space, workers: Workers, faults: S3Faults) -> None:
    have(space, FORTY)
    etag = {"etag": {"uri": f"s3://{space.bucket}/{OBJECT}"}}
    asked = faults.requests["ListObjectsV2"]
    volumes = {**source(space), "versions": etag}
    live = space.submit(job("ocr", space.bucket, volumes, parallelism=20))

    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 40, "succeeded": 40}
    frozen = space.frozen("ocr")
    assert [v._replace(i_version="") for v in frozen] == in_key_order(FORTY)
    assert all(len(v.i_version) == 6 for v in frozen)
    # Frozen, looked at once it runs, and once before its end; and some for the outputs.
    assert faults.requests["ListObjectsV2"] - asked < 4 * 80
    assert live.read()["spec"]["volumes"]["s3"]["every"] == "1h"
    workers.runs.check_each_ran_once(40)


@pytest.mark.usefixtures("operator")
def test_it_waits_for_the_first_folder_and_grows(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = submit(space)
    assert "S3 shows no folder that fits s3://" in live.wait_stalled("InvalidManifest")

    have(space, THREE[1:2])
    live.wait_counts(total=1, running=1)
    have(space, THREE)
    live.wait_counts(total=3, running=3)

    assert space.frozen("ocr")[0] == THREE[1]
    assert sorted(space.frozen("ocr")) == THREE
    workers.release()
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("operator")
def test_what_does_not_fit_is_passed_over(space: Space, workers: Workers) -> None:
    have(space, THREE)
    work = object_key("Works/{w_md5}/{w_id}", THREE[0])
    others = (
        f"{work}/images/thumbs/1.jpg",
        f"{work}/images/W9-0001/1.jpg",  # of another work
        f"{work}/images/{THREE[0].w_id}-/1.jpg",
        f"{work}/eBooks/{THREE[0].w_id}-0009/1.jpg",
        "Works/README",
        "Works/zz/W7/images/W7-0001/1.jpg",  # no digits of an MD5
        "Works/00/W7/images/W7-0001/1.jpg",  # not those of this one
    )
    put_all(space, dict.fromkeys(others, b"x"))
    by_md5 = FOLDERS.replace("{shard}", "{w_md5}")
    live = space.submit(job("ocr", space.bucket, source(space, by_md5)))

    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    assert space.frozen("ocr") == in_key_order(THREE)
    workers.runs.check_each_ran_once(3)


REFUSED = {
    "unseen": ("{}/images/W0-1\u200b/1.jpg", "U+200B"),
    "twice": ("{}/images/W0-I0000/1.jpg", "the volume W0/I0000 has two folders"),
    "long": ("{}/images/W0-" + "x" * 129 + "/1.jpg", "at most 128 are allowed"),
}


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_no_volume_is_told_by_its_key(
    space: Space, workers: Workers, name: str
) -> None:
    place, said = REFUSED[name]
    have(space, THREE)
    key = place.format(object_key("Works/{w_md5}/{w_id}", THREE[0]))
    space.put(key, b"x")
    live = submit(space)

    message = live.wait_stalled("InvalidManifest")
    assert said in message
    assert key[: key.index("W0-")] in message
    assert space.ledger("ocr") is None, "nothing is begun"

    # As the message says. To delete the object is not enough for every store: some keep the folder.
    live.patch(volumes=source(space, FOLDERS.replace("{i_folder}", "0{i_id}")))
    assert counts(live.wait_complete(timeout=60)) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


def test_a_bucket_that_may_not_be_listed(
    space: Space, workers: Workers, faults: S3Faults, bucket: str
) -> None:
    space.s3.put_object(Bucket=bucket, Key=object_key(OBJECT, THREE[0]), Body=b"x")
    faults.refuse(403, "ListObjectsV2", bucket)
    live = space.submit(job("ocr", space.bucket, source(space, bucket=bucket, every="1s")))
    assert f"s3://{bucket}/Works/" in live.wait_stalled("ManifestForbidden")

    faults.heal()
    workers.behaviour = hang
    live.wait_counts(total=1, running=1)
    faults.refuse(403, "ListObjectsV2", bucket)
    told = "the list cannot be read now, the job goes on with what it has"
    live.wait(lambda found: told in condition(found, "Ready")["message"], told)

    faults.heal()
    workers.release()
    assert counts(live.wait_complete(timeout=60)) == {"total": 1, "succeeded": 1}
    workers.runs.check_each_ran_once(1)


@pytest.mark.usefixtures("operator", "workers")
def test_a_bucket_that_is_not_there(space: Space) -> None:
    absent = f"{space.bucket}-absent"
    live = space.submit(job("ocr", space.bucket, source(space, bucket=absent)))
    assert f"the bucket s3://{absent} does not exist" in live.wait_stalled("ManifestNotFound")


@pytest.mark.usefixtures("operator", "workers")
def test_a_template_that_can_be_read_in_two_ways_is_told(space: Space) -> None:
    live = space.submit(job("ocr", space.bucket, source(space, "images/{w_id}-{i_id}/")))
    assert "can fit one name in two ways" in live.wait_stalled("InvalidSpec")


@pytest.mark.usefixtures("operator")
def test_a_template_without_ids_is_refused_at_once(space: Space) -> None:
    with pytest.raises(Exception, match=r"write \{i_id\} or \{i_folder\} into it"):
        space.submit(job("ocr", space.bucket, source(space, "images/{w_id}/")))
