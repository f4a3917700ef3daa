"""How S3 is reached, and what it wants beside each request: the same for operator and workers."""

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bec_ops.contract.variables import read_variables

Encryption = Literal["", "AES256", "aws:kms", "aws:kms:dsse"]
ACCOUNT = r"^([0-9]{12})?$"
"""What the number of an AWS account looks like; empty where none is expected."""


class StoreSettings(BaseModel):
    """What a bucket's owner demands of each request; nothing, unless it is set.

    Workers find it in the environment under the aliases. `kms_key_id` is of use with `aws:kms`
    alone: without it S3 takes the bucket's key, or its own. `patience` is for how many seconds a
    worker tries again what S3 does not answer, or is too busy to.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    server_side_encryption: Encryption = Field(alias="BEC_S3_SERVER_SIDE_ENCRYPTION", default="")
    kms_key_id: str = Field(alias="BEC_S3_KMS_KEY_ID", default="")
    expected_bucket_owner: str = Field(
        alias="BEC_S3_EXPECTED_BUCKET_OWNER", default="", pattern=ACCOUNT
    )
    requester_pays: bool = Field(alias="BEC_S3_REQUESTER_PAYS", default=False)
    patience: float = Field(alias="BEC_S3_PATIENCE", default=300.0, ge=0)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read what is set and not empty; raises MisconfiguredError naming what is wrong."""
        return read_variables(cls, "BEC_S3_", environ, "the worker's settings of S3 are wrong")

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.kms_key_id and not self.server_side_encryption.startswith("aws:kms"):
            raise ValueError("a KMS key is for server-side encryption by aws:kms: set that, too")
        return self

    def environment(self) -> dict[str, str | None]:
        """Return the variables that tell workers the same; None for what is as it is anyway."""
        told = self.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        names = (field.alias or name for name, field in type(self).model_fields.items())
        return {name: _text(told[name]) if name in told else None for name in names}

    def asking(self) -> dict[str, Any]:
        """Return the arguments that every request of boto3 gets."""
        wanted = {
            "ExpectedBucketOwner": self.expected_bucket_owner,
            "RequestPayer": "requester" if self.requester_pays else "",
        }
        return {name: value for name, value in wanted.items() if value}

    def writing(self) -> dict[str, Any]:
        """Return the arguments that every write gets, `ExtraArgs` of an upload included."""
        wanted = {
            "ServerSideEncryption": self.server_side_encryption,
            "SSEKMSKeyId": self.kms_key_id,
        }
        return {**self.asking(), **{name: value for name, value in wanted.items() if value}}


def _text(value: object) -> str:
    return "true" if value is True else str(value)
