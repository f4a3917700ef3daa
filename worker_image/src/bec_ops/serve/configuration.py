"""What the owner of a machine says in TOML: where to listen, to whom to report, what may run."""

import tomllib
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.faults import explain
from bec_ops.serve.kept_output import PIECES

ANYTHING = "**"
"""The pattern of all commands."""

_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - this is where they are told apart
_PORTS = range(1, 65536)
_LEAST_OUTPUT = PIECES * 64 * 1024


def host_and_port(address: str) -> tuple[str, int]:
    """Split `host:port`; the host may be empty, or in brackets. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) not in _PORTS:
        raise ValueError(f"{address!r} is no address: write host:port, as in 127.0.0.1:30000")
    return host, int(port)


def _check_address(address: str) -> str:
    if address:
        host_and_port(address)
    return address


Address = Annotated[str, AfterValidator(_check_address)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GrpcServer(_Section):
    """Where we listen. Relative paths of files are relative to the working directory."""

    addr: Address = Field(min_length=1)
    use_tls: bool = False
    crt_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    insecure: bool = False
    public_addr: Address = ""

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches us."""
        host, _ = host_and_port(self.addr)
        if host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def listens_at(self) -> str:
        """The address as gRPC takes it."""
        host, port = host_and_port(self.addr)
        return f"[::]:{port}" if not host else self.addr

    @property
    def told_to_scheduler(self) -> str:
        """The address at which the scheduler is to call."""
        return self.public_addr or self.addr

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.use_tls and not (self.crt_file and self.key_file):
            raise ValueError("use_tls wants both crt_file and key_file")
        if self.client_ca_file and not self.use_tls:
            raise ValueError("client_ca_file wants use_tls = true")
        if not (self.use_tls or self.is_local or self.insecure):
            raise ValueError(
                f"addr = {self.addr!r} can be reached from other machines, and what is said there "
                "can be read and forged: write use_tls = true with crt_file and key_file, or an "
                "address of 127.0.0.1, or insecure = true if the network keeps strangers away"
            )
        return self


class Scheduler(_Section):
    """To whom we report that we are there; to nobody if `addr` is empty."""

    addr: Address = ""
    ca_file: str = ""
    again_seconds: float = Field(default=0, ge=0)


class Limits(_Section):
    """What may be run, and how much of what is kept."""

    folder: Path = Path("worker/jobs")
    commands: tuple[str, ...] = ()
    jobs: int = Field(default=16, ge=1)
    output_bytes: int = Field(default=16 * 1024 * 1024, ge=_LEAST_OUTPUT)
    kept_jobs: int = Field(default=200, ge=0)
    grace_seconds: float = Field(default=10, ge=0, le=3600)
    streams: int = Field(default=32, ge=1, le=1000)

    def allow(self, command: str) -> bool:
        """Whether the owner has listed the command."""
        return any(_matches(pattern, command) for pattern in self.commands)


def _matches(pattern: str, command: str) -> bool:
    """Compare folder by folder: `/opt/tools/*` is not about what is below other folders."""
    if pattern in {ANYTHING, command}:
        return True
    wanted, parts = pattern.split("/"), command.split("/")
    return (
        len(wanted) == len(parts)
        and ".." not in parts
        and all(fnmatchcase(part, each) for part, each in zip(parts, wanted, strict=True))
    )


class Configuration(_Section):
    """The whole file."""

    grpc_server: GrpcServer
    scheduler: Scheduler = Scheduler()
    limits: Limits = Limits()


def read_configuration(file: Path) -> Configuration:
    """Read the file; raises MisconfiguredError with what is wrong and where."""
    try:
        with file.open("rb") as opened:
            return Configuration.model_validate(tomllib.load(opened))
    except OSError as error:
        raise MisconfiguredError(
            f"{file} cannot be read: {error.strerror}; name another one with --config FILE"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MisconfiguredError(f"{file} is not TOML: {error}") from None
    except ValidationError as error:
        raise MisconfiguredError(f"{file}: {explain(error)}") from None
