"""The configuration of a worker from elsewhere: who says what, and how what is wrong is told."""

from pathlib import Path

import pytest

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.outside.configuration import DEFAULT, read_configuration, usual_files
from bec_ops.outside.keys import Keys, seconds

NOTHING: dict[str, str] = {}


def file(folder: Path, text: str, name: str = "worker.toml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_what_is_said_later_counts_and_who_said_it_is_known(tmp_path: Path) -> None:
    first = file(tmp_path, 'site = "one"\njobs = ["a"]\nname = "n1"\nrest = ""\n', "1.toml")
    second = file(tmp_path, '# ours\nsite = "two"\nname = "n2"\n', "2.toml")
    found = read_configuration(
        {"jobs": ["x"], "url": None, "handlers": ()},
        {"BEC_WORKER_NAME": "n3", "BEC_WORKER_HANDLERS": "ocr, lines", "BEC_WORKER_REST": ""},
        [first, tmp_path / "is-not-there.toml", second],
    )
    keys, sources = found.keys, found.sources
    assert (keys.site, sources["site"]) == ("two", f"{second}, line 2")
    assert (keys.name, sources["name"]) == ("n3", "the variable BEC_WORKER_NAME")
    assert (keys.jobs, sources["jobs"]) == (("x",), "the argument --jobs")
    assert keys.handlers == ("ocr", "lines")
    assert sources["rest"] == f"{first}, line 4"
    assert ("lease_margin", "20.0", DEFAULT) in found.rows()


def test_the_files_are_looked_for_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    assert [str(path) for path in usual_files()] == [
        "/etc/bec/worker.toml",
        "bec-worker.toml",
        "/home/x/.config/bec/worker.toml",
    ]


def test_amounts_and_times_are_written_as_people_do(tmp_path: Path) -> None:
    text = 'min_disk = "2GiB"\nmin_memory = 1024\nlease_margin = "1m30s"\nstate = "~/bec"\n'
    keys = read_configuration({}, NOTHING, [file(tmp_path, text)]).keys
    assert (keys.min_disk, keys.min_memory, keys.lease_margin) == (2 * 1024**3, 1024, 90.0)
    assert keys.state == Path.home() / "bec"
    assert Keys().state == Path.home() / ".local/state/bec-worker"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\n\nsitee = "x"\n', "worker.toml, line 3: there is no key 'sitee'; write one of url, "),
        ("[worker]\nsite = 1\n", "line 1: there is no key 'worker'"),
        ('a = 1\nurl = "ftp://x"\n', "line 1: there is no key 'a'"),
        ('\nurl = "ftp://x"\n', "line 2: url = 'ftp://x': write an address such as https://"),
        ('url = "http://bec.example.org"\n', "secrets go over TLS alone"),
        ('url = "https://h:99999/"\n', "write an address"),
        ('jobs = "a"\nsite = 7\n', "line 2: site = 7: Input should be a valid string"),
        ("jobs = [1]\n", "line 1: jobs = 1: Input should be a valid string"),
        ('rest = "mon 8-18"\n', "rest = 'mon 8-18': 'mon 8-18': write hours such as mon-fri 08"),
        ('lease_margin = "soon"\n', "lease_margin = 'soon': write a time such as 90s"),
        ('min_disk = "much"\n', "min_disk = 'much'"),
        ('s3_check = "bucket"\n', "s3_check = 'bucket'"),
        ("site = \n", "is not TOML: Invalid value (at line 1"),
        ("x" * 70_000, "is larger than 64 KiB"),
        ("x = " + "[" * 50_000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        read_configuration({}, NOTHING, [file(tmp_path, text)])
    assert said in str(caught.value)
    assert len(str(caught.value)) < 600


def test_what_is_no_text_or_no_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "worker.toml"
    path.write_bytes(b"site = '\xff'")
    with pytest.raises(MisconfiguredError, match="is not UTF-8"):
        read_configuration({}, NOTHING, [path])
    with pytest.raises(MisconfiguredError, match="cannot be read: Is a directory"):
        read_configuration({}, NOTHING, [tmp_path])


def test_a_variable_that_is_no_key_is_told_and_that_of_a_pod_is_none() -> None:
    with pytest.raises(MisconfiguredError, match="the variable BEC_WORKER_SITEE: there is no key"):
        read_configuration({}, {"BEC_WORKER_SITEE": "x"}, [])
    assert read_configuration({}, {"BEC_WORKER_ID": "pod-1"}, []).keys == Keys()


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    path = file(tmp_path, 'token = "SECRET"\n')
    found = read_configuration({}, NOTHING, [path])
    assert ("token", "(hidden)", f"{path}, line 1") in found.rows()
    assert "SECRET" not in repr(found)


@pytest.mark.parametrize("text", ['token = ["SECRET"]\n', 'toke = "SECRET"\n'])
def test_a_token_that_is_wrong_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        read_configuration({}, NOTHING, [file(tmp_path, text)])
    assert "SECRET" not in str(caught.value)


def test_a_token_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(MisconfiguredError) as caught:
        read_configuration({"url": "https://me:SECRET@bec.example.org"}, NOTHING, [])
    assert "no name and password" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_file_with_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, 'token = "SECRET"\n')
    path.chmod(0o644)
    with pytest.raises(MisconfiguredError, match=f"chmod 600 {path}"):
        read_configuration({}, NOTHING, [path])


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("1h30m", 5400), ("0s", 0), (7, 7)])
def test_spans_of_time(text: object, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", " ", "5", "m", "5 minutes", "-5m", "1m1h"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="write a time such as"):
        seconds(text)
