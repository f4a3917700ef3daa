"""Who a worker is: kept whole, for its owner alone, and for one operator."""

import json
import stat
from pathlib import Path

import pytest

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.outside.identity import Identity, StateFolder

URL = "https://bec.example.org"
ME = Identity(url=URL, worker_id="w-1", secret="s" * 64, name="desk")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "deep" / "state")


def test_it_is_kept_for_its_owner_alone(folder: StateFolder) -> None:
    assert folder.identity() is None
    folder.make()
    folder.keep(ME)
    assert folder.identity() == ME
    assert folder.require_identity(URL) == ME
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.path, *folder.path.iterdir())]
    assert modes == [0o700, 0o600]
    assert "s" * 64 not in repr(ME)


def test_a_try_without_an_answer_has_the_same_secret_when_it_is_repeated(
    folder: StateFolder,
) -> None:
    one = folder.begin(URL, "desk", None)
    assert folder.identity() is None
    two = folder.begin(URL, "table", None)
    assert (two.secret, two.name) == (one.secret, "table")
    other = folder.begin("https://other.example.org", "desk", None)
    assert other.secret != one.secret
    folder.keep(other.model_copy(update={"worker_id": "w-2"}))
    assert folder.begin(other.url, "desk", None).secret != other.secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_read_is_not_used(folder: StateFolder, mode: int) -> None:
    folder.make()
    folder.keep(ME)
    (folder.path / "identity.json").chmod(mode)
    with pytest.raises(MisconfiguredError, match=r"can be read by others .*: chmod 600"):
        folder.identity()


def test_a_folder_that_others_can_read_is_not_used(folder: StateFolder) -> None:
    folder.make()
    folder.keep(ME)
    folder.path.chmod(0o750)
    for use in (folder.identity, folder.make):
        with pytest.raises(MisconfiguredError, match="chmod 700"):
            use()


def test_the_secret_is_for_the_operator_that_it_was_made_for(folder: StateFolder) -> None:
    folder.make()
    with pytest.raises(MisconfiguredError, match=r"is not registered .*: bec-worker register"):
        folder.require_identity(URL)
    folder.keep(ME)
    with pytest.raises(MisconfiguredError, match=r"registered with https://bec\.example\.org, and"):
        folder.require_identity("https://thief.example.org")


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"secret": "SECRET", "url": 1})])
def test_a_file_that_is_broken_is_told_without_what_is_in_it(
    folder: StateFolder, text: str
) -> None:
    folder.make()
    folder.keep(ME)
    (folder.path / "identity.json").write_text(text)
    with pytest.raises(MisconfiguredError, match="not as it was written") as caught:
        folder.identity()
    assert "SECRET" not in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        MisconfiguredError, match=r"cannot be made: .*; give another one by the key"
    ):
        StateFolder(tmp_path / "file" / "state").make()
