"""Whose fault a bad answer is: that of one key, of the bucket, or of the whole storage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.errors import (
    StoreError,
    answering,
    may_be_of_key,
    no_answer_for_key,
    no_such_place,
    status,
)
from bec_ops.contract.s3.keys import folders_above, has_long_part, short_folder
from bec_ops.contract.s3.settings import StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_PAUSE = 1.0  # seconds before a store that says 500 is asked once more
_THERE, _ABSENT = 200, 404
_ODD = 500  # what stores over a file system say of a key that they have no place for


class Asking:
    """Asks the bucket before the storage is blamed, and before a key is called absent."""

    def __init__(self, client: "S3Client", settings: StoreSettings) -> None:
        self._client, self._extra = client, settings.asking()
        self._seen: set[str] = set()  # buckets that are there

    @contextmanager
    def about(self, bucket: str, key: str, *, writing: bool = False) -> Iterator[None]:
        """Do as `answering`; where an answer is bad, see first whose fault that is."""
        with answering(bucket, key):
            try:
                yield
            except ClientError as error:
                if may_be_of_key(error):
                    trouble = self._judge(error, bucket, key, writing=writing)
                    if trouble is not None:
                        raise trouble from error
                raise

    def check_bucket(self, bucket: str, prefix: str) -> None:
        """Raise StoreError if the bucket is not there, or may not be listed under the prefix."""
        with answering(bucket, prefix):
            self._client.list_objects_v2(
                Bucket=bucket,
                Prefix=prefix,
                MaxKeys=1,
                EncodingType="url",  # whatever the key that is told
                **self._extra,
            )
        self._seen.add(bucket)

    def see(self, bucket: str, key: str) -> None:
        """See once that the bucket is there: some stores say of a missing one that the key is.

        Who may not list it is told by that, too.
        """
        if bucket not in self._seen:
            try:
                self.check_bucket(bucket, key)
            except StoreError as error:
                if error.reason != "Forbidden":
                    raise
            self._seen.add(bucket)

    def _judge(
        self, error: ClientError, bucket: str, key: str, *, writing: bool
    ) -> StoreError | None:
        """Return what a bad answer means; None if it means what it says.

        What the bucket says of itself says more. No volume is to be given up for what passes, so
        it is only the key's if asking for it again goes wrong in the same way. That a write goes
        wrong may have many reasons that are of no key, such as a full disk.
        """
        try:
            self.check_bucket(bucket, short_folder(key))
        except StoreError as other:
            if other.reason != "Forbidden":
                return other
        trouble = self._of_place(error, bucket, key)
        if trouble is not None and self._stays(error, bucket, key):
            return trouble
        return None if writing else no_answer_for_key(error, bucket, key)

    def _of_place(self, error: ClientError, bucket: str, key: str) -> StoreError | None:
        """Return what is said of a key for which a store over a file system has no place.

        It is no outage if the store answers for another key beside it.
        """
        if has_long_part(key):
            beside = self._stands(bucket, short_folder(key) + MARKER_NAME)
            return None if beside is None else no_such_place(error, bucket, key)
        for folder in folders_above(key):
            if self._stands(bucket, folder):
                return no_such_place(error, bucket, key, folder)
        return None

    def _stays(self, error: ClientError, bucket: str, key: str) -> bool:
        """Whether a bad answer is what S3 says of the key each time; a 500 also some time later."""
        if status(error) > _ODD:
            return False  # a gateway before the store
        if status(error) == _ODD:
            time.sleep(_PAUSE)
        return self._look(bucket, key) == status(error)

    def _stands(self, bucket: str, key: str) -> bool | None:
        """Whether there is an object; None where S3 does not say."""
        return {_THERE: True, _ABSENT: False}.get(self._look(bucket, key))

    def _look(self, bucket: str, key: str) -> int:
        """Return the status with which S3 answers for a key."""
        try:
            self._client.head_object(Bucket=bucket, Key=key, **self._extra)
        except ClientError as error:
            return status(error)
        return _THERE
