"""Output on disk: all of it, or its end and how much is missing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_ops.serve.kept_output import PIECES, OutputReader, OutputWriter

LIMIT = 8 * PIECES


def all_of(reader: OutputReader) -> Iterator[tuple[int, bytes]]:
    while (found := reader.read()).cut or found.data:
        yield found.cut, found.data


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@given(st.lists(st.tuples(st.binary(max_size=3 * LIMIT), st.booleans()), max_size=20))
def test_what_is_read_and_what_is_missing_are_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("output")
    writer, reader = OutputWriter(folder, LIMIT), OutputReader(folder)
    whole, place = b"", 0

    def read() -> int:
        reached = place
        for cut, data in all_of(reader):
            reached += cut
            assert whole[reached : reached + len(data)] == data
            reached += len(data)
        return reached

    for data, is_read in steps:
        writer.write(data)
        whole += data
        assert on_disk(folder) <= LIMIT
        assert on_disk(folder) >= min(len(whole), LIMIT - LIMIT // PIECES)
        if is_read:
            place = read()
            assert place == len(whole)
    writer.close()
    assert read() == len(whole)


def test_a_reader_may_be_there_before_the_first_byte(tmp_path: Path) -> None:
    reader = OutputReader(tmp_path)
    assert list(all_of(reader)) == []
    OutputWriter(tmp_path, LIMIT).write(b"now")
    assert list(all_of(reader)) == [(0, b"now")]


def test_the_output_of_a_job_that_is_forgotten_just_ends(tmp_path: Path) -> None:
    assert list(all_of(OutputReader(tmp_path / "gone"))) == []


def test_on_a_full_disk_the_oldest_goes_first_and_then_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = OutputWriter(tmp_path, LIMIT), OutputReader(tmp_path)
    writer.write(b"1" * 20)
    write, room = os.write, 20

    def short(file: int, data: bytes) -> int:
        if on_disk(tmp_path) + len(data) > room:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", short)
    writer.write(b"2" * 4)
    assert list(all_of(reader)) == [(8, b""), (0, b"1" * 8), (0, b"1" * 4 + b"2" * 4)]
    room = 0
    writer.write(b"3" * 5)
    assert on_disk(tmp_path) <= 8
    room = 100
    writer.write(b"4")
    writer.close()
    assert list(all_of(reader)) == [(5, b""), (0, b"4")]
