"""The settings: what cannot work is refused, in words that give no secret away."""

import base64

import pytest
from pydantic import ValidationError

from bec_operator.settings import Settings

URL = "https://hooks.example.org/bec"
KEY = "whsec_" + base64.b64encode(bytes(32)).decode()


def _set(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"BEC_OPERATOR_{name.upper()}", value)
    return Settings()


def test_a_webhook_has_a_url_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _set(monkeypatch, webhook_url=URL, webhook_key=KEY)
    assert str(settings.webhook_url) == URL
    assert settings.webhook_key is not None
    assert settings.webhook_key.get_secret_value() == KEY
    assert KEY not in repr(settings)


@pytest.mark.parametrize(("name", "value"), [("webhook_url", URL), ("webhook_key", KEY)])
def test_one_without_the_other_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError, match="webhook_url and webhook_key belong together"):
        _set(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    "key",
    [
        KEY.removeprefix("whsec_"),
        "whsec_no base64",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
    ids=["no prefix", "no base64", "short", "long"],
)
def test_a_key_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _set(monkeypatch, webhook_url=URL, webhook_key=key)
    (error,) = refused.value.errors()
    assert "24 to 64 random bytes" in error["msg"]
    assert key not in error["msg"]


def test_a_key_at_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (24, 64):
        key = "whsec_" + base64.b64encode(bytes(length)).decode()
        assert _set(monkeypatch, webhook_url=URL, webhook_key=key).webhook_key is not None


def test_a_kms_key_goes_with_kms(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="s3_server_side_encryption=aws:kms"):
        _set(monkeypatch, s3_kms_key_id="key-1")
    settings = _set(monkeypatch, s3_kms_key_id="key-1", s3_server_side_encryption="aws:kms")
    assert settings.store.writing() == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
    }
