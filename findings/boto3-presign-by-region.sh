#!/usr/bin/env bash
# boto3 1.44.8: a presigned address is SigV4 or SigV2 by the name of the region, endpoint or not.
#
# Requests of one client are signed by SigV4 whatever the region. The addresses that the same client
# presigns are SigV2 in regions that botocore knows, those of today as well as the oldest, even with
# an endpoint of one's own; and SigV4 in a region whose name it does not know. So a store that speaks
# SigV4 alone takes addresses from who calls its region `garage`, and refuses those of `us-east-1`.
#
# Seen: boto3 1.44.8, botocore 1.44.8 on Python 3.11, with and without an endpoint:
#   us-east-1: requests SigV4, addresses SigV2
#   eu-west-1: requests SigV4, addresses SigV2
#   garage: requests SigV4, addresses SigV4
# Consequence for us: the client that signs for workers from elsewhere says `s3v4`
# (`bec_ops/contract/s3/signing.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
cat > "$folder/look.py" <<'PYTHON'
import boto3


class Seen(Exception):
    pass


def of_requests(client):
    def look(request, **_):
        raise Seen(request.headers["Authorization"].decode())

    client.meta.events.register("before-send.s3", look)
    try:
        client.head_object(Bucket="bucket", Key="key")
    except Seen as seen:
        return "SigV4" if str(seen).startswith("AWS4-HMAC-SHA256") else "SigV2"


def of_addresses(client):
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    return "SigV2" if "AWSAccessKeyId=" in url else "SigV4"


expected = {"us-east-1": "SigV2", "eu-west-1": "SigV2", "garage": "SigV4"}
for region, addresses in expected.items():
    for endpoint in (None, "http://127.0.0.1:9000"):
        client = boto3.session.Session().client(
            "s3", region_name=region, endpoint_url=endpoint,
            aws_access_key_id="key", aws_secret_access_key="secret",
        )
        seen = of_requests(client), of_addresses(client)
        assert seen == ("SigV4", addresses), (region, endpoint, seen)
    print(f"{region}: requests {seen[0]}, addresses {seen[1]}")
PYTHON
env -u AWS_PROFILE HOME="$folder" "$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
