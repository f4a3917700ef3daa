#!/usr/bin/env bash
# botocore 1.44.8: a web identity token file that is not there is no error of botocore's.
#
# In a pod with an IAM role for its service account, AWS_WEB_IDENTITY_TOKEN_FILE names a projected
# token. Where that file cannot be read, every call of a client raises the plain FileNotFoundError
# (or PermissionError) of open(), though all other troubles with credentials are BotoCoreErrors
# (NoCredentialsError, CredentialRetrievalError). Who catches BotoCoreError and ClientError, as the
# documentation of error handling has it, does not catch this one.
#
# Seen: boto3 1.44.8 on Python 3.11:
#   FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/token'
#   is a BotoCoreError: False; without any credentials at all: NoCredentialsError, True
# Consequence for us: `bec_ops.contract.s3.errors` turns OSErrors of a call into `Forbidden`, and names the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 botocore==1.44.8
cat > "$folder/look.py" <<'PYTHON'
import os
import sys

import boto3
from botocore.exceptions import BotoCoreError

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": sys.argv[1]}
seen = []
for more in ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x"}, {}):
    os.environ |= more
    client = boto3.session.Session().client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:9")
    try:
        client.get_object(Bucket="b", Key="k")
    except Exception as error:
        print(f"{type(error).__name__}: {error}; is a BotoCoreError: {isinstance(error, BotoCoreError)}")
        seen.append((type(error).__name__, isinstance(error, BotoCoreError)))
    for name in more:
        del os.environ[name]
assert seen == [("FileNotFoundError", False), ("NoCredentialsError", True)], seen
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
echo "as it was seen"
