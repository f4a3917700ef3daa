"""Markers: both known forms are read, and nothing else passes for success."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_ops.contract.marker import InvalidMarker, Marker, MarkerVolume
from bec_ops.contract.volume import Volume

VOLUME = Volume("W1", "I1", "v1")
SEED = {"worker_id": "worker-1", "success_timestamp": "2026-11-24T12:00:00Z"}
BEC = {
    "job_id": 7,
    "job_name": "ocr",
    "volume": {"w_id": "W1", "i_id": "I1", "i_version": "v1"},
    "worker_id": "2f6c",
    "task_execution_id": 99,
    "total_images": 480,
    "nb_errors": 0,
    "durations": {"total": 12.5},
    "timestamp": 1764000000.25,
}


def parse(found: object) -> Marker:
    return Marker.parse(json.dumps(found).encode(), "ocr", VOLUME)


def test_the_two_keys_of_the_seed_are_enough() -> None:
    marker = parse(SEED)
    assert marker.worker_id == "worker-1"
    assert marker.success_timestamp == "2026-11-24T12:00:00Z"


def test_the_rich_form_is_read_and_kept_whole() -> None:
    marker = parse(BEC)
    assert marker.success_timestamp == 1764000000.25
    assert marker.volume == MarkerVolume(w_id="W1", i_id="I1", i_version="v1")
    kept = json.loads(marker.dump())
    assert kept["total_images"] == 480
    assert kept["durations"] == {"total": 12.5}


def test_what_is_dumped_is_read_again() -> None:
    marker = parse(BEC | {"note": "ཀ"})
    assert Marker.parse(marker.dump(), "ocr", VOLUME).model_dump() == marker.model_dump()


@pytest.mark.parametrize(
    "more",
    [
        {"job_id": "ocr"},
        {"job_name": "ocr", "job_id": "d6f1c0"},
        {"job_id": None, "volume": None},
        {"w_id": "W1", "i_id": "I1", "i_version": "v1"},
        {"volume": {"w_id": "W1", "pages": 3}},
    ],
)
def test_what_is_present_and_right_passes(more: dict[str, object]) -> None:
    assert parse(SEED | more).worker_id == "worker-1"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"success_timestamp": "x"}, "worker_id: Field required"),
        ({"worker_id": "x"}, "success_timestamp: Field required"),
        (SEED | {"worker_id": ""}, "worker_id: "),
        (SEED | {"worker_id": {}}, "worker_id: "),
        (SEED | {"volume": "W1"}, "volume: "),
        ([SEED], "not valid"),
        (None, "not valid"),
        (SEED | {"job_id": "ldv1"}, "another job: 'ldv1', not 'ocr'"),
        (SEED | {"job_id": 7}, "another job: '7'"),
        (SEED | {"job_name": "ldv1", "job_id": 7}, "another job: '7' or 'ldv1'"),
        (SEED | {"w_id": "W2"}, "another volume than W1/I1@v1"),
        (SEED | {"volume": {"w_id": "W1", "i_id": "I2"}}, "another volume"),
        (BEC | {"volume": {"w_id": "W1", "i_id": "I1", "i_version": "v2"}}, "another volume"),
        (BEC | {"volume": {"w_id": "W1", "i_id": "I1", "i_version": ""}}, "another volume"),
    ],
)
def test_what_proves_nothing_is_invalid(found: object, said: str) -> None:
    with pytest.raises(InvalidMarker, match=said):
        parse(found)


def test_a_marker_cut_short_anywhere_is_invalid() -> None:
    whole = json.dumps(BEC).encode()
    for length in range(len(whole)):
        with pytest.raises(InvalidMarker, match="not valid"):
            Marker.parse(whole[:length], "ocr", VOLUME)


@pytest.mark.parametrize(
    "said",
    ["NaN", "Infinity", "-Infinity", "1e308", "-1", '"99999-01-01T00:00:00Z"', '"soon"', "9" * 400],
)
def test_a_time_that_cannot_be_is_none_and_the_success_stands(said: str) -> None:
    body = f'{{"worker_id": "w", "success_timestamp": {said}}}'.encode()
    assert Marker.parse(body, "ocr", VOLUME).written is None


@pytest.mark.parametrize("said", [-1, 2**53 + 1, 1e300, "many", [480]])
def test_a_count_that_cannot_be_is_passed_over(said: object) -> None:
    assert parse(BEC | {"total_images": said}).total_images is None
    assert parse(BEC | {"total_images": 0}).total_images == 0
    assert parse(BEC | {"log": "x" * 2000}).log is None


def test_what_was_written_and_found_is_kept_and_what_cannot_be_is_passed_over() -> None:
    counts = {"nb_artefacts": 3, "artefact_bytes": 2**40, "expect_met": ["*.txt", "v.json"]}
    marker = parse(SEED | counts)
    assert json.loads(marker.dump()).items() >= counts.items()
    assert marker.meets(["v.json"])
    assert not marker.meets(["v.json", "*.png"])
    wrongs: list[object] = [-1, "many", {"*.txt": 1}, [[]], None]
    for wrong in wrongs:
        marker = parse(SEED | dict.fromkeys(counts, wrong))
        assert (marker.nb_artefacts, marker.artefact_bytes, marker.expect_met) == (None,) * 3


@pytest.mark.parametrize("old", [SEED, BEC])
def test_an_older_marker_meets_nothing_that_is_expected(old: dict[str, object]) -> None:
    assert not parse(old).meets(["*"])
    assert parse(old).meets([])
    assert not parse(old).dump().count(b"expect_met")


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"volume":' * 100_000])
def test_a_marker_of_a_great_depth_is_invalid(nested: bytes) -> None:
    with pytest.raises(InvalidMarker, match="recursion limit"):
        Marker.parse(b'{"x":' + nested, "ocr", VOLUME)


def test_little_is_said_of_what_somebody_else_wrote() -> None:
    with pytest.raises(InvalidMarker) as raised:
        parse(SEED | {"job_id": "x" * 100_000})
    assert len(str(raised.value)) < 200


@given(st.binary(max_size=64))
def test_no_bytes_do_harm(body: bytes) -> None:
    with pytest.raises(InvalidMarker):
        Marker.parse(body, "ocr", VOLUME)


REDO_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEFORE, AFTER = REDO_AT - timedelta(seconds=1), REDO_AT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("echo", "last_modified", "counts"),
    [
        (None, BEFORE, False),
        (None, REDO_AT, True),
        (None, AFTER, True),
        ("2026-11-24T11:59:59Z", AFTER, False),  # written late by an attempt from before
        ("2026-11-24T13:00:00+01:00", BEFORE, True),  # whatever S3's clock says
        ("2026-11-24T12:00:01Z", BEFORE, True),
        ("yesterday", BEFORE, False),
        ("yesterday", AFTER, True),
        ("2026-11-24T12:00:00", BEFORE, False),  # in which time zone, nobody knows
    ],
)
def test_markers_from_before_redo_at_do_not_count(
    echo: str | None, last_modified: datetime, counts: bool
) -> None:
    marker = parse(SEED | {"redo_at": echo})
    assert marker.counts(REDO_AT, last_modified) is counts
    assert marker.counts(None, last_modified)


PAGES = {"type": "object", "properties": {"pages": {"type": "integer"}}, "required": ["pages"]}


def test_what_was_returned_is_read_and_kept() -> None:
    marker = parse(SEED | {"result": {"pages": 3, "each": [None, {"mean": 0.5}]}})
    assert marker.result == {"pages": 3, "each": [None, {"mean": 0.5}]}
    assert json.loads(marker.dump())["result"] == marker.result
    marker.check_result(PAGES)
    marker.check_result(None)


@pytest.mark.parametrize(
    "foreign", ["good", [1], 7, None, True, {"a": "x" * 70_000}, {"a": float("nan")}]
)
def test_a_result_of_somebody_else_is_passed_over_unless_the_job_says_more(foreign: object) -> None:
    marker = parse(BEC | {"result": foreign})
    assert marker.result is None
    marker.check_result(None)
    with pytest.raises(
        InvalidMarker, match=r"result, which spec.worker.result demands, is missing"
    ):
        marker.check_result(PAGES)


def test_a_result_that_does_not_fit_proves_nothing() -> None:
    with pytest.raises(InvalidMarker, match=r"not fit spec.worker.result: pages: Input should be"):
        parse(SEED | {"result": {"pages": "3"}}).check_result(PAGES)
    with pytest.raises(InvalidMarker, match="is missing, or no JSON object"):
        parse(SEED).check_result(PAGES)
