"""Ports for servers that a test starts."""

import socket


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened on just now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
