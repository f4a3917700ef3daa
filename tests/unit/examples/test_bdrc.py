"""The example over an archive: where its volumes are, what is read of them, and the catalogue."""

import gzip
import json
import re
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from bec_operator.act.volumes.version_ways import object_key
from bec_operator.api.job import JobSpec
from bec_ops import TerminalError
from bec_ops.contract.task import Task
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop
from bec_ops.running_task import RunningTask
from bec_ops.runtime.attempt import Attempt
from examples.bdrc import catalogue, folders, worker
from examples.bdrc.archive import ARCHIVE, GROUPS, NOT_SCANNED
from examples.bdrc.folders import DIMENSIONS, BadDimensionsError, folder_of, pages_of
from examples.demo_sql import MANIFEST
from examples.ocr import worker as ocr

SPEC = JobSpec.model_validate(yaml.safe_load(MANIFEST.read_text())["spec"])
VOLUME = Volume("W22084", "I0886", "a1b2c3")
FOLDER = "Works/60/W22084/images/W22084-0886/"


def packed(listed: object) -> bytes:
    return gzip.compress(json.dumps(listed).encode(), mtime=0)


@pytest.mark.parametrize("i_id", ["I0886", "I1KG886", "I00886", "0886", "I088"])
def test_the_worker_reads_from_where_the_version_is_found(i_id: str) -> None:
    volume = VOLUME._replace(i_id=i_id)
    assert SPEC.volumes.versions is not None
    assert SPEC.volumes.versions.etag is not None
    found = object_key(SPEC.volumes.versions.etag.uri, volume)
    assert found == f"s3://{ARCHIVE}/{folder_of(volume)}{DIMENSIONS}"
    assert folder_of(VOLUME) == FOLDER


def test_pages_are_images_of_the_folder_in_the_order_of_the_list() -> None:
    names = ["b.TIF", "a.png", "../c.png", "sub/d.jpg", "notes.txt", "e", "f.jpeg", ""]
    listed = [{"filename": name, "width": 9, "height": 9} for name in names]
    assert pages_of(packed([*listed, {}, "g.png", {"filename": 7}])) == ["b.TIF", "a.png", "f.jpeg"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"filename": "a.png"}]', "is no gzip"),
        (packed([{"filename": "a.png"}])[:-9], "ends before its end"),
        (b"", "ends before its end"),
        (packed({"filename": "a.png"}), "has no list of pages"),
        (gzip.compress(b"[" * 100_000, mtime=0), "is no JSON"),
        (gzip.compress(b"\xff", mtime=0), "is no JSON"),
        (gzip.compress(b" " * 3000, mtime=0), "has more than 2000 bytes"),
    ],
)
def test_a_list_that_is_none_is_told(
    content: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_BYTES", 2000 if "2000" in said else folders.MAX_BYTES)
    with pytest.raises(BadDimensionsError, match=said):
        pages_of(content)


class Archive:
    """What stands for S3. Every object has the same ETag."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, bucket: str, key: str) -> bytes | None:
        assert bucket == ARCHIVE
        return self.objects.get(key)

    def head(self, bucket: str, key: str) -> object:
        return SimpleNamespace(etag="a1b2c3d4") if self.get(bucket, key) is not None else None


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The objects of the archive; Tesseract reads what stands in an image, if anything does."""

    def recognize(_: ocr.Parameters, source: str, image: bytes) -> str:
        assert source == "stdin"
        if not image:
            raise ocr.UnreadableError("an empty image")
        return image.decode()

    archive = Archive()
    monkeypatch.setattr(worker, "Store", lambda: archive)
    monkeypatch.setattr(ocr, "check_languages", lambda _: None)
    monkeypatch.setattr(ocr, "recognize", recognize)
    return archive.objects


def read(folder: Path, volume: Volume = VOLUME) -> dict[str, Any]:
    """Have a volume read, and return what its marker says."""
    output = f"file://{folder}/out/"
    task = Task(job_id="j", **volume._asdict(), output_uri=output, worker_id="w")
    attempt = Attempt(task, Surroundings(work_dir=folder / "work"), Stop(), meter=Meter())
    worker.archive_ocr(RunningTask(attempt), worker.Parameters(archive=ARCHIVE))
    attempt.succeed()
    marker = attempt.output.marker()
    assert marker is not None
    return marker.model_dump(exclude_unset=True)


def test_pages_that_cannot_be_read_are_told_and_the_others_are_read(
    tmp_path: Path, objects: dict[str, bytes]
) -> None:
    listed = [{"filename": f"{name}.png"} for name in ("1", "2", "3", "4")]
    objects[f"{FOLDER}{DIMENSIONS}"] = packed(listed)
    objects |= {f"{FOLDER}1.png": b"one", f"{FOLDER}3.png": b"", f"{FOLDER}4.png": b"four"}
    marker = read(tmp_path)
    assert (marker["total_images"], marker["nb_errors"]) == (4, 2)
    assert sorted(file.name for file in (tmp_path / "out").glob("*.txt")) == ["1.txt", "4.txt"]
    assert (tmp_path / "out/4.txt").read_text() == "four"
    told = json.dumps(marker["errors"])
    assert "dimensions.json lists it, and it is not there" in told
    assert "an empty image" in told


@pytest.mark.parametrize(
    ("content", "version", "said"),
    [
        (None, "a1b2c3", f"there is no s3://{ARCHIVE}/{FOLDER}dimensions.json"),
        (packed([{"filename": "1.png"}]), "a1b2c4", "version a1b2c4 is asked for, and its ETag is"),
        (b"no gzip", "a1b2c3", "dimensions.json is no gzip"),
        (packed([]), "a1b2c3", "no page that can be read"),
        (packed([{"filename": "2.png"}]), "a1b2c3", "no page that can be read"),
    ],
)
def test_a_volume_that_cannot_be_read_fails_for_good(
    tmp_path: Path, objects: dict[str, bytes], content: bytes | None, version: str, said: str
) -> None:
    objects[f"{FOLDER}1.png"] = b"one"
    if content is not None:
        objects[f"{FOLDER}{DIMENSIONS}"] = content
    with pytest.raises(TerminalError, match=re.escape(said)):
        read(tmp_path, VOLUME._replace(i_version=version))


def test_the_query_finds_what_is_in_the_archive_and_what_is_not_yet() -> None:
    _, _, made = (catalogue.HERE / "catalogue.sql").read_text().partition("\\connect library\n")
    database = sqlite3.connect(":memory:")
    database.executescript(re.sub("(?m)^GRANT .*$", "", made))
    sql = SPEC.volumes.sql
    assert sql is not None
    found = database.execute(sql.query, sql.parameters).fetchall()
    assert found == [(each.w_id, each.i_id) for each in [*(g.volume for g in GROUPS), NOT_SCANNED]]


def test_the_job_names_the_handler_its_bucket_and_the_connections() -> None:
    given = worker.Parameters.model_validate(SPEC.worker.parameters)
    assert given == worker.Parameters(archive=ARCHIVE)
    assert SPEC.worker.handler == "archive-ocr"
    assert SPEC.volumes.sql is not None
    assert SPEC.results is not None
    assert SPEC.results.sql is not None
    named = [SPEC.volumes.sql.connection, SPEC.results.sql.connection]
    assert named == list(catalogue.CONNECTIONS)
    assert json.dumps(named[0]) in catalogue.values("bec")
