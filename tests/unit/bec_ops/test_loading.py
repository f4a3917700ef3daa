"""Importing handlers."""

import sys
from pathlib import Path

import pytest

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.runtime.loading import load


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("where", ["my_handlers.py", "my_handlers"])
def test_a_file_or_a_module_with_what_lies_beside_it(tmp_path: Path, where: str) -> None:
    (tmp_path / "my_helper.py").write_text("VALUE = 3")
    (tmp_path / "my_handlers.py").write_text("from my_helper import VALUE")
    load(where)
    assert sys.modules["my_handlers"].VALUE == 3


@pytest.mark.parametrize(
    ("where", "content", "message"),
    [
        ("broken.py", "def", "broken.py cannot be imported: .*syntax"),
        ("needy.py", "import no_such_thing", "No module named 'no_such_thing'"),
        ("absent.py", None, "absent.py is not there"),
        ("absent_module", None, "No module named 'absent_module'"),
    ],
)
def test_what_cannot_be_imported(
    tmp_path: Path, where: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / where).write_text(content)
    with pytest.raises(MisconfiguredError, match=message):
        load(where)


def test_what_else_goes_wrong_may_pass(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text("raise OSError('no GPU')")
    with pytest.raises(OSError, match="no GPU"):
        load("busy.py")
