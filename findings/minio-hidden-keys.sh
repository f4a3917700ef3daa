#!/usr/bin/env bash
# MinIO v0.0.0-20260212201848-7aac2a2c5b7c (one drive): while there is an object `a`, no list has the
# keys below `a/`. They are still there: GET finds them, and a DELETE of `a` brings them back.
#
# Which of them came first makes no difference, and a list of `a/` itself is empty, too. Other stores
# that take both keys list both (SeaweedFS, moto, Garage, Ceph), or refuse the second (versitygw:
# 409). Here both are taken.
#
# Seen: boto3 1.44.8 on Python 3.11:
#   before: ['a/b', 'a/c'], folders: ['a/']
#   after a PUT of 'a': ['a'], folders: []; below a/: []; GET a/b: b'x'
#   after a DELETE of 'a': ['a/b', 'a/c']
#   'b', then 'b/c': ['b']; below b/: []
# Consequence for us: where a list shows an object of a volume's folder's name, the volume's marker
# is looked at (`bec_ops/contract/s3/listing.py`), so that one that is done is seen to be.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server"; wait 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
# Go 1.24 or newer; a first build takes minutes.
GOBIN="$folder" GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false go install -trimpath -ldflags "-s -w" \
  github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c 2> "$folder/go.log" || { tail "$folder/go.log"; exit 1; }
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/data"
HOME=$folder MINIO_ROOT_USER=rootuser MINIO_ROOT_PASSWORD=rootsecret MINIO_BROWSER=off MINIO_UPDATE=off \
  "$folder/minio" server --quiet --address "127.0.0.1:$port" "$folder/data" > "$folder/log" 2>&1 &
server=$!
cat > "$folder/look.py" <<'PYTHON'
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

client = boto3.client(
    "s3", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="rootuser", aws_secret_access_key="rootsecret",
)
for _ in range(120):
    try:
        client.create_bucket(Bucket="bucket")
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.5)


def keys(prefix=""):
    page = client.list_objects_v2(Bucket="bucket", Prefix=prefix)
    return [found["Key"] for found in page.get("Contents", ())]


def folders():
    page = client.list_objects_v2(Bucket="bucket", Delimiter="/")
    return [found["Prefix"] for found in page.get("CommonPrefixes", ())]


for key in ("a/b", "a/c"):
    client.put_object(Bucket="bucket", Key=key, Body=b"x")
before = keys(), folders()
client.put_object(Bucket="bucket", Key="a", Body=b"y")
after = keys(), folders(), keys("a/"), client.get_object(Bucket="bucket", Key="a/b")["Body"].read()
client.delete_object(Bucket="bucket", Key="a")
again = keys()
client.put_object(Bucket="bucket", Key="b", Body=b"y")
client.put_object(Bucket="bucket", Key="b/c", Body=b"x")
other = keys("b"), keys("b/")
print(f"before: {before[0]}, folders: {before[1]}")
print(f"after a PUT of 'a': {after[0]}, folders: {after[1]}; below a/: {after[2]}; GET a/b: {after[3]}")
print(f"after a DELETE of 'a': {again}")
print(f"'b', then 'b/c': {other[0]}; below b/: {other[1]}")
assert before == (["a/b", "a/c"], ["a/"]), before
assert after == (["a"], [], [], b"x"), after
assert other == (["b"], []), other
assert again == ["a/b", "a/c"], again
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "http://127.0.0.1:$port"
echo "as it was seen"
