"""What is signed for workers without keys: settings go with it, and none outlives its keys."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.credentials import RefreshableCredentials

from bec_ops.contract.s3.settings import StoreSettings
from bec_ops.contract.s3.signing import Signing

ENDPOINT = "http://127.0.0.1:1"
KEY = {"Key": "p/a.txt"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def test_settings_are_signed_as_headers() -> None:
    settings = StoreSettings(
        server_side_encryption="aws:kms",
        kms_key_id="k",
        expected_bucket_owner="123456789012",
        requester_pays=True,
    )
    signing = Signing(ENDPOINT, "us-east-1", settings)
    owner = {"x-amz-expected-bucket-owner": "123456789012", "x-amz-request-payer": "requester"}
    encrypted = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "k",
    }
    for operation, more, headers in (
        ("PutObject", {"ContentType": "text/plain"}, {**owner, **encrypted}),
        ("CreateMultipartUpload", {"ContentType": "text/plain"}, {**owner, **encrypted}),
        ("UploadPart", {"UploadId": "u", "PartNumber": 3}, owner),
        ("GetObject", {}, owner),
    ):
        signed = signing.sign(operation, "bucket", {**KEY, **more})
        typed = {"Content-Type": "text/plain"} if "ContentType" in more else {}
        assert signed.headers == {**headers, **typed}
        (names,) = query(signed.url)["X-Amz-SignedHeaders"]
        assert set(names.split(";")) == {"host", *map(str.lower, signed.headers)}, operation


def test_none_outlives_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = (datetime.now(UTC) + timedelta(seconds=400)).isoformat()
    told = {"access_key": "id", "secret_key": "secret", "token": "t", "expiry_time": ends}
    keys = RefreshableCredentials.create_from_metadata(told, lambda: told, "test")
    monkeypatch.setattr("boto3.session.Session.get_credentials", lambda _: keys)
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: keys)
    signed = Signing(ENDPOINT, "us-east-1", StoreSettings()).sign("GetObject", "bucket", KEY)
    assert signed.expires == 300
    assert query(signed.url)["X-Amz-Expires"] == ["300"]


def test_keys_without_an_end() -> None:
    signed = Signing(ENDPOINT, "us-east-1", StoreSettings()).sign("GetObject", "bucket", KEY)
    assert signed.expires == 900
