#!/usr/bin/env bash
# botocore 1.44.8: a page of HTML with status 200 is an empty answer of SQS, and so an empty queue.
#
# A proxy's log-in page, a wrong address or a server of something else answers 200 with HTML, or with
# nothing. `receive_message` returns no messages, `get_queue_attributes` no attributes, and
# `delete_message_batch` neither a success nor a failure; nothing is raised. (JSON that is no object
# raises AttributeError, and an error without JSON has its status as its code.)
#
# Seen: boto3 1.44.8 on Python 3.11:
#   a page: receive {}, attributes {}, delete {}
#   nothing: receive {}, attributes {}, delete {}
#   a list of JSON: receive AttributeError, attributes AttributeError, delete AttributeError
# Consequence for us: an answer whose Content-Type is not JSON is none (`act/connections/sqs.py`), and
# AttributeError and its like are none either (`act/connections/sqs_answers.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
cat > "$folder/look.py" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3

SAID = {"kind": "", "body": b""}


class Page(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", SAID["kind"])
        self.send_header("Content-Length", str(len(SAID["body"])))
        self.end_headers()
        self.wfile.write(SAID["body"])

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.session.Session().client(
    "sqs", endpoint_url=f"http://127.0.0.1:{server.server_port}", region_name="us-east-1",
    aws_access_key_id="key", aws_secret_access_key="secret",
)
CALLS = {
    "receive": lambda: client.receive_message(QueueUrl="q"),
    "attributes": lambda: client.get_queue_attributes(QueueUrl="q", AttributeNames=["All"]),
    "delete": lambda: client.delete_message_batch(QueueUrl="q", Entries=[{"Id": "0", "ReceiptHandle": "r"}]),
}
PAGES = {
    "a page": ("text/html", b"<html>Please log in</html>"),
    "nothing": ("text/plain", b""),
    "a list of JSON": ("application/json", b"[]"),
}
seen = {}
for name, (SAID["kind"], SAID["body"]) in PAGES.items():
    for call, ask in CALLS.items():
        try:
            answer = ask()
            del answer["ResponseMetadata"]
            seen[name, call] = str(answer)
        except Exception as error:
            seen[name, call] = type(error).__name__
    print(f"{name}: " + ", ".join(f"{call} {seen[name, call]}" for call in CALLS))
server.shutdown()
for (name, _), what in seen.items():
    assert what == ("AttributeError" if name == "a list of JSON" else "{}"), seen
PYTHON
env -u AWS_PROFILE HOME="$folder" "$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
