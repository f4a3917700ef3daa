#!/usr/bin/env bash
# uvloop 0.23.0: a transport of uvloop is not an instance of asyncio.Transport.
#
# What a protocol gets in connection_made has all methods of asyncio.Transport, and so a check such
# as isinstance(transport, asyncio.Transport), which type checkers ask for where the parameter is an
# asyncio.BaseTransport, holds on asyncio's own loop and fails on uvloop's. Nor is it a BaseTransport.
#
# Seen: uvloop 0.23.0 on Python 3.11, one TCP connection on the loopback address:
#   asyncio: _SelectorSocketTransport, Transport: True, BaseTransport: True
#   uvloop: TCPTransport, Transport: False, BaseTransport: False
# Consequence for us: `worker_api/connections.py` asks a transport for what it can do, and the tests
# of sockets run on uvloop, as the operator does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvloop==0.23.0
cat > "$folder/look.py" <<'PYTHON'
import asyncio

import uvloop


class Looks(asyncio.Protocol):
    def __init__(self, seen):
        self.seen = seen

    def connection_made(self, transport):
        kinds = (asyncio.Transport, asyncio.BaseTransport)
        self.seen.set_result((type(transport).__name__, *(isinstance(transport, k) for k in kinds)))
        transport.close()


async def look():
    loop = asyncio.get_running_loop()
    seen = loop.create_future()
    server = await loop.create_server(lambda: Looks(seen), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    found = await seen
    writer.close()
    server.close()
    return found


plain = asyncio.run(look())
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    fast = runner.run(look())
for name, (kind, is_transport, is_base) in {"asyncio": plain, "uvloop": fast}.items():
    print(f"{name}: {kind}, Transport: {is_transport}, BaseTransport: {is_base}")
assert plain[1:] == (True, True), plain
assert fast[1:] == (False, False), fast
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
