#!/usr/bin/env bash
# datadispatcher-client 2.0.3: to a worker, any error is the end of its project.
#
# `next_file` of the Python API gives False, "the project is over", for each answer that is not 200:
# 401, 403, 429, 500, and for 201 as well. So a worker whose login has run out, or that meets a server
# in trouble, ends as if all was done. And the same answer 200 with `application/json` in place of
# `text/json` breaks the call: the body stays text.
#
# Seen: datadispatcher-client 2.0.3 on Python 3.11:
#   200 text/json, retry true: True
#   200 text/json, retry false: False
#   401: False
#   429: False
#   500: False
#   201 text/json, retry true: False
#   200 application/json, retry true: AttributeError
# Consequence for us: the face answers "not now" with 200 and `retry`, whatever the reason, and says
# `text/json` (`gateway/faces/data_dispatcher/answers.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datadispatcher-client==2.0.3 metacat-client==4.1.5
cat > "$folder/look.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from data_dispatcher.api import DataDispatcherClient

SAID = {"status": 200, "kind": "text/json", "retry": True}


class Dispatcher(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"handle": None, "reason": "", "retry": SAID["retry"]}).encode()
        self.send_response(SAID["status"])
        self.send_header("Content-Type", SAID["kind"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Dispatcher)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
CASES = {
    "200 text/json, retry true": ({}, "True"),
    "200 text/json, retry false": ({"retry": False}, "False"),
    "401": ({"status": 401}, "False"),
    "429": ({"status": 429}, "False"),
    "500": ({"status": 500}, "False"),
    "201 text/json, retry true": ({"status": 201}, "False"),
    "200 application/json, retry true": ({"kind": "application/json"}, "AttributeError"),
}
for name, (said, expected) in CASES.items():
    SAID.update({"status": 200, "kind": "text/json", "retry": True}, **said)
    try:
        client = DataDispatcherClient(server_url=url, auth_server_url=url, worker_id="w")
        seen = str(client.next_file(1, timeout=1, stagger=0))
    except Exception as error:
        seen = type(error).__name__
    print(f"{name}: {seen}")
    assert seen == expected, (name, seen)
server.shutdown()
PYTHON
(cd "$folder" && HOME="$folder" "$folder/venv/bin/python" "$folder/look.py")
echo "as it was seen"
