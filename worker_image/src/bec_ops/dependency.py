"""What another job has written for the volume at hand, for a handler that builds on it."""

from bec_ops.contract.errors import RetryableError, TerminalError
from bec_ops.contract.s3.places import Place
from bec_ops.contract.s3.store import StoreError, TooLargeError
from bec_ops.contract.volume import Volume


class Dependency:
    """The artefacts of a job that this one depends on, all of one volume; `uri` is their prefix."""

    def __init__(self, job_id: str, volume: Volume, uri: str, place: Place) -> None:
        self.job_id = job_id
        self.uri = uri
        self._volume, self._place = volume, place

    def read(self, name: str) -> bytes:
        """Return an artefact by the name that it was written under; from any thread.

        Raises TerminalError if there is none, or one of more than 1 GiB, and RetryableError if S3
        gives no answer.
        """
        try:
            found = self._place.fetch(name)
        except StoreError as error:
            raise RetryableError(f"{name!r} of the job {self.job_id!r}: {error}") from error
        except TooLargeError as error:
            raise TerminalError(
                f"{name!r} of the job {self.job_id!r}: {error}; read it bit by bit, with "
                "bec_ops.contract.s3.store.Store().open()"
            ) from error
        if found is None:
            raise TerminalError(
                f"the job {self.job_id!r} has written no {name!r} for {self._volume}: "
                f"there is no {self.uri}{name}"
            )
        return found.body
