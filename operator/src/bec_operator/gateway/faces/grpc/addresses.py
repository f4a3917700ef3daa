"""Which addresses of workers are called: a worker's own word is never enough."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from bec_operator.worker_api.callers.refusals import CallRefusedError

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z._-]{1,253})):([0-9]{1,5})")
_FIRST_PORT = 1024  # below are services of the machine


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens. `text` is what it says; `target` is what gRPC is given."""

    text: str
    target: str


class Allowed:
    """What the administrator allows: networks such as `10.0.0.0/8`, and names of machines."""

    def __init__(self, workers: Iterable[str]) -> None:
        self._networks = []
        self._names = set()
        for each in workers:
            try:
                self._networks.append(ip_network(each))
            except ValueError:
                self._names.add(each.lower())

    def check(self, text: str) -> Address:
        """Return an address that may be called; raises CallRefusedError, with why it may not.

        What is no number has to be listed by its name: what a name stands for is not looked up.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise CallRefusedError(
                "Invalid", "the address is none: write host:port, such as 10.0.0.7:30000"
            )
        host, port = found[1] or found[2], int(found[3])
        if not _FIRST_PORT <= port <= 65535:
            raise CallRefusedError(
                "Forbidden", f"port {port} is not called: listen at one of 1024 to 65535"
            )
        try:
            number = ip_address(host)
        except ValueError:
            if found[1] or host.lower() not in self._names:
                raise _not_listed() from None
            return Address(text, f"dns:///{host}:{port}")
        if isinstance(number, IPv6Address):
            number = number.ipv4_mapped or number
        if not any(number in network for network in self._networks):
            raise _not_listed()
        kind, shown = ("ipv6", f"[{number}]") if number.version == 6 else ("ipv4", str(number))
        return Address(text, f"{kind}:{shown}:{port}")


def _not_listed() -> CallRefusedError:
    return CallRefusedError(
        "Forbidden",
        "the address is none that the administrator lets the operator call: it has to be listed "
        "under workers of the face grpc",
    )
