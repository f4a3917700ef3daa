"""What the owner of a machine may say, and what is said of what is wrong."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.serve.configuration import (
    Configuration,
    GrpcServer,
    Limits,
    Scheduler,
    read_configuration,
)

LISTENING = '[grpc_server]\naddr = "127.0.0.1:30000"\n'


def read(folder: Path, text: str) -> Configuration:
    file = folder / "config.toml"
    file.write_text(text)
    return read_configuration(file)


def test_an_existing_file_is_read_as_it_is(tmp_path: Path) -> None:
    rest = 'use_tls = false\ncrt_file = "server.pem"\nkey_file = "server.key"\n'
    found = read(tmp_path, f'{LISTENING}{rest}[scheduler]\naddr = "127.0.0.1:50000"\n')
    assert found.grpc_server.told_to_scheduler == "127.0.0.1:30000"
    assert found.scheduler.addr == "127.0.0.1:50000"
    assert found.limits.commands == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "grpc_server is missing"),
        ("[grpc_server]\naddr = 5", "grpc_server.addr=5: Input should be a valid string"),
        ('[grpc_server]\naddr = ""', "grpc_server.addr='': String should have at least 1"),
        ('[grpc_server]\naddr = "x:70000"', "'x:70000' is no address: write host:port"),
        ('[grpc_server]\naddr = "30000"', "'30000' is no address: write host:port"),
        (f"{LISTENING}use_tls = true", "use_tls wants both crt_file and key_file"),
        (f'{LISTENING}client_ca_file = "ca"', "client_ca_file wants use_tls = true"),
        (f"{LISTENING}tls = true", "grpc_server.tls=True: Extra inputs are not permitted"),
        (f"{LISTENING}[limits]\njobs = 0", "limits.jobs=0: Input should be greater than"),
        (f"{LISTENING}[limits]\ncommands = 'sh'", "limits.commands='sh': Input should be"),
        (f"{LISTENING}[limits]\noutput_bytes = 9", "limits.output_bytes=9: Input should be"),
        ("[grpc_server", "is not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(MisconfiguredError) as error:
        read(tmp_path, text)
    assert wrong in str(error.value)
    assert "config.toml" in str(error.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(MisconfiguredError, match="is not TOML"):
        read_configuration(tmp_path / "config.toml")


@pytest.mark.parametrize("host", ["", "[::]", "10.0.0.7", "desk.example"])
def test_others_are_let_in_without_tls_only_where_that_is_meant(tmp_path: Path, host: str) -> None:
    text = f'[grpc_server]\naddr = "{host}:30000"\n'
    with pytest.raises(MisconfiguredError, match="can be reached from other machines"):
        read(tmp_path, text)
    assert read(tmp_path, f"{text}insecure = true").grpc_server.insecure
    tls = 'use_tls = true\ncrt_file = "a"\nkey_file = "b"'
    assert read(tmp_path, f"{text}{tls}").grpc_server.use_tls


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
def test_this_machine_alone_needs_no_tls(tmp_path: Path, host: str) -> None:
    assert read(tmp_path, f'[grpc_server]\naddr = "{host}:1"').grpc_server.is_local


def test_another_address_may_be_told_to_the_scheduler(tmp_path: Path) -> None:
    text = '[grpc_server]\naddr = ":30000"\ninsecure = true\npublic_addr = "desk.example:30000"'
    listening = read(tmp_path, text).grpc_server
    assert listening.listens_at == "[::]:30000"
    assert listening.told_to_scheduler == "desk.example:30000"


@pytest.mark.parametrize(
    ("patterns", "command", "allowed"),
    [
        ((), "sh", False),
        (("sh",), "sh", True),
        (("sh",), "/bin/sh", False),
        (("sh",), "bash", False),
        (("python3*",), "python3.11", True),
        (("/opt/tools/*.sh",), "/opt/tools/ocr.sh", True),
        (("/opt/tools/*.sh",), "/opt/tools/more/ocr.sh", False),
        (("/opt/*/*",), "/opt/../rm", False),
        (("/opt/../rm",), "/opt/../rm", True),
        (("*",), "/bin/sh", False),
        (("*",), "sh", True),
        (("**",), "/opt/../rm", True),
        (("**",), "", True),
        (("a", "b"), "b", True),
        (("*",), "", True),
    ],
)
def test_commands_are_allowed_folder_by_folder(
    patterns: tuple[str, ...], command: str, allowed: bool
) -> None:
    assert Limits(commands=patterns).allow(command) == allowed


def test_the_file_of_the_docs_is_read_and_every_field_of_ours_is_told(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs/serve.md").read_text()
    _, _, rest = page.partition("```toml\n")
    shown, _, rest = rest.partition("```")
    assert read(tmp_path, shown).limits.allow("/opt/tools/ocr.sh")
    told = set(re.findall(r"^\| `(\w+\.\w+)` \|", rest, re.MULTILINE))
    sections: dict[str, type[BaseModel]] = {
        "grpc_server": GrpcServer,
        "scheduler": Scheduler,
        "limits": Limits,
    }
    known = {f"{name}.{each}" for name, kind in sections.items() for each in kind.model_fields}
    theirs = {f"grpc_server.{each}" for each in ("addr", "use_tls", "crt_file", "key_file")}
    assert told == known - theirs - {"scheduler.addr"}
