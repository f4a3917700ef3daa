#!/usr/bin/env bash
# boto3 1.44.8: its paginator sends StartAfter together with ContinuationToken, and S3Proxy 3.3.0
# answers 400 InvalidArgument.
#
# S3 ignores StartAfter beside a token, and so do most stores. The paginator of list_objects_v2 keeps
# all arguments of the first request and adds the token to them, so on a store that does not take
# both a list that is begun with StartAfter ends in an error after its first page (of 1,000), and one
# that fits on a page never does. By hand, with StartAfter in the first request alone, it works.
#
# Seen: boto3 1.44.8 on Python 3.11; S3Proxy 3.3.0 (filesystem-nio2) on Java 17; four keys, pages of two:
#   requests of the paginator: ['start-after', 'continuation-token+start-after']
#   S3Proxy says: 400 InvalidArgument
#   by hand: ['b', 'c', 'd', 'e']
# Consequence for us: `bec_ops/contract/s3/listing.py` pages by hand.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
cat > "$folder/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>none</groupId><artifactId>none</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-annotations</artifactId><version>2.21</version>
  </dependency></dependencies></dependencyManagement>
  <dependencies><dependency>
    <groupId>org.gaul</groupId><artifactId>s3proxy</artifactId><version>3.3.0</version>
  </dependency></dependencies>
</project>
XML
mvn --quiet --batch-mode --file "$folder/pom.xml" -DincludeScope=runtime -DoutputDirectory="$folder/jars" \
  org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/data"
cat > "$folder/properties" <<PROPERTIES
s3proxy.endpoint=http://127.0.0.1:$port
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=key
s3proxy.credential=secret
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$folder/data
jclouds.identity=none
jclouds.credential=none
PROPERTIES
java -cp "$folder/jars/*" org.gaul.s3proxy.Main --properties "$folder/properties" > "$folder/log" 2>&1 &
server=$!
cat > "$folder/look.py" <<'PYTHON'
import sys
import time
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

client = boto3.client(
    "s3", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="key", aws_secret_access_key="secret",
)
for _ in range(120):
    try:
        client.create_bucket(Bucket="bucket")
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.5)
for key in "abcde":
    client.put_object(Bucket="bucket", Key=key, Body=b"x")
sent = []


def note(request, **_):
    query = parse_qs(urlsplit(request.url).query)
    sent.append("+".join(sorted({"start-after", "continuation-token"} & query.keys())))


client.meta.events.register("before-send.s3.ListObjectsV2", note)
wanted = {"Bucket": "bucket", "StartAfter": "a"}
pages = client.get_paginator("list_objects_v2").paginate(**wanted, PaginationConfig={"PageSize": 2})
said = ""
try:
    for page in pages:
        pass
except ClientError as error:
    said = f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
by_paginator = list(sent)
found, page = [], client.list_objects_v2(**wanted, MaxKeys=2)
while True:
    found += [each["Key"] for each in page["Contents"]]
    if not page["IsTruncated"]:
        break
    page = client.list_objects_v2(Bucket="bucket", MaxKeys=2, ContinuationToken=page["NextContinuationToken"])
print(f"requests of the paginator: {by_paginator}\nS3Proxy says: {said}\nby hand: {found}")
assert by_paginator == ["start-after", "continuation-token+start-after"], by_paginator
assert said == "400 InvalidArgument", said
assert found == ["b", "c", "d", "e"], found
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "http://127.0.0.1:$port"
echo "as it was seen"
