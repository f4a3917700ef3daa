"""What a queue's server says when it does not do what it was asked to, in words for people.

Only codes are told, and never what stands beside them: some servers repeat what was signed, a
session token included.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from bec_operator.act.connections.sqs_place import QUEUE_REFUSED
from bec_operator.act.ground.connections import UNAVAILABLE, ConnectionTrouble

QUEUE_NOT_FOUND = "QueueNotFound"
QUEUE_FORBIDDEN = "QueueForbidden"

_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
_TIME_OUTS = (ConnectTimeoutError, ReadTimeoutError)
_NO_ANSWER = (BotoCoreError, HTTPError, OSError)
# What botocore raises where an answer is JSON, and no object of what it should be.
_NONSENSE = (ResponseParserError, AttributeError, TypeError, ValueError, KeyError, RecursionError)
_NOT_FOUND = {"NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"}
_CREDENTIALS = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure"),
}
_BUSY = {"RequestThrottled", "ThrottlingException", "Throttling", "OverLimit", "KmsThrottled"}
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


@contextmanager
def answering(connection: str, queue: str) -> Iterator[None]:
    """Turn every way of not answering into a ConnectionTrouble that names connection and queue."""
    try:
        yield
    except ClientError as error:
        raise _refusal(error, connection, queue) from None
    except _NO_CREDENTIALS:
        raise _silence(
            connection,
            "there are no credentials for it: put them into its Secret, or "
            "give the operator's service account a role",
        ) from None
    except _TIME_OUTS:
        raise _silence(connection, "no answer came in time") from None
    except EndpointConnectionError:
        raise _silence(connection, "its server cannot be reached") from None
    except _NO_ANSWER as error:
        if isinstance(error, OSError) and error.filename:  # botocore opens no files but these
            raise _silence(
                connection,
                f"there are no credentials for it: {error.filename} cannot be read "
                f"({error.strerror}); mount that file, or put credentials into its Secret",
            ) from None
        raise _silence(connection, f"no answer came ({type(error).__name__})") from None
    except _NONSENSE as error:
        raise no_sqs(connection, type(error).__name__) from None


def no_sqs(connection: str, how: str) -> ConnectionTrouble:
    """Return what is said of an answer that is none of SQS."""
    return _silence(connection, f"what answers is no SQS, or something stands before it ({how})")


def code_of(error: ClientError) -> str:
    """Return the code of an answer that is an error, without what is put before it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return short_code(code)


def short_code(code: str) -> str:
    """Return a code as SQS documents it; foreign text is none."""
    return code.rpartition("AWS.SimpleQueueService.")[2] if _CODE.fullmatch(code) else "no code"


def _refusal(error: ClientError, connection: str, queue: str) -> ConnectionTrouble:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_FOUND:
        return ConnectionTrouble(
            QUEUE_NOT_FOUND,
            f"connection {connection}: there is no queue {queue} ({code}); make it, or name "
            "another",
        )
    if code in _CREDENTIALS:
        return _silence(
            connection,
            f"its credentials are refused ({code}); the administrator has "
            "to put good ones into its Secret, and to see that the clock is right",
        )
    if code in _BUSY or status == 429 or status >= 500:
        return _silence(connection, f"its server is busy or unwell ({code})")
    if status < 400:
        return no_sqs(connection, str(status))
    if status in {401, 403} or code.startswith(("AccessDenied", "Kms", "KMS.")):
        return ConnectionTrouble(
            QUEUE_FORBIDDEN,
            f"connection {connection}: its credentials may not do this with queue {queue}, or are "
            f"refused ({code}); the administrator has to allow it, or to put good ones there",
        )
    return ConnectionTrouble(
        QUEUE_REFUSED,
        f"connection {connection}: queue {queue} refuses what was asked ({code})",
    )


def _silence(connection: str, said: str) -> ConnectionTrouble:
    return ConnectionTrouble(UNAVAILABLE, f"connection {connection}: {said}")
