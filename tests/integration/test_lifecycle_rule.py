"""The rule that the docs give for what killed uploads leave behind, and what it is for."""

import json
import re
from pathlib import Path

from mypy_boto3_s3 import S3Client

PAGE = Path(__file__).parents[2] / "docs/volumes-and-outputs.md"


def test_the_rule_for_parts_of_uploads_is_taken(client: S3Client, bucket: str) -> None:
    """owncloud/ocis#4968, epam/cloud-pipeline#904: parts stay, cost, and no list shows them."""
    begun = client.create_multipart_upload(Bucket=bucket, Key="a/big")
    client.upload_part(
        Bucket=bucket, Key="a/big", PartNumber=1, UploadId=begun["UploadId"], Body=b"part"
    )
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    [left] = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert left["Key"] == "a/big"

    [text] = re.findall(r"^```json\n(\{\n  \"Rules\".*?)^```", PAGE.read_text(), re.M | re.S)
    rules = json.loads(text)
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    [rule] = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}
    client.abort_multipart_upload(Bucket=bucket, Key="a/big", UploadId=begun["UploadId"])
