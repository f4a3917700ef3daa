#!/usr/bin/env bash
# botocore 1.44.8: a session token that holds an end of line is repeated by the error.
#
# A token that was pasted in two lines cannot be a header. The HTTP client refuses it, and says with
# which value; botocore passes the sentence on as the text of an HTTPClientError. So the text of an
# exception, which is mostly told or logged, has the whole token; and of an access key with an end of
# line, the header with key and signature.
#
# Seen: boto3 1.44.8 on Python 3.11, each as HTTPClientError:
#   token: An HTTP Client raised an unhandled exception: Invalid header value b'tell-me-not\nx'
#   key: An HTTP Client raised an unhandled exception: Invalid header value b'AWS4-HMAC-SHA256 …
# Consequence for us: credentials are looked at before a client is made of them
# (`act/connections/sqs_client.py`), and no text of botocore's is told (`act/connections/sqs_answers.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
cat > "$folder/look.py" <<'PYTHON'
import socket

import boto3
from botocore.exceptions import HTTPClientError

listening = socket.create_server(("127.0.0.1", 0))
for name, key, token in (("token", "key", "tell-me-not\nx"), ("key", "tell-me-not\nx", None)):
    client = boto3.session.Session().client(
        "sqs", endpoint_url=f"http://127.0.0.1:{listening.getsockname()[1]}", region_name="us-east-1",
        aws_access_key_id=key, aws_secret_access_key="secret", aws_session_token=token,
    )
    try:
        client.receive_message(QueueUrl="q")
    except HTTPClientError as error:
        said = str(error)
    print(f"{name}: {said.partition('Credential=')[0]}")
    assert "tell-me-not" in said
PYTHON
env -u AWS_PROFILE HOME="$folder" "$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
