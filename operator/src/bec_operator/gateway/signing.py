"""Signs addresses in S3 for workers from elsewhere: in the place of their task, and no other."""

import re
from typing import Any

from bec_operator.decide.memory.memory import Memory
from bec_operator.gateway.gateway import Gateway
from bec_operator.worker_api.callers.caller import Caller
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.tasks import task_for
from bec_ops.contract.location import OutputTemplate, TemplateError
from bec_ops.contract.protocol import Sign, Signed, SignedRequest, ToSign
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.task import Task

_READING = {"GetObject", "HeadObject", "ListObjectsV2"}
_OF_UPLOAD = {"UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"}
# A backslash is a slash for some stores.
_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\\]")
_KEY_BYTES = 1024

Place = tuple[str, str]  # bucket, and prefix that ends in a slash
_Order = tuple[str, str, dict[str, Any]]  # operation, bucket, arguments of boto3


async def sign(gateway: Gateway, caller: Caller, call: Sign) -> Signed:
    """Return the addresses that a worker asks for. Raises CallRefusedError.

    All that is asked for has to be right: of a call that is refused nothing is signed.
    """
    memory = gateway.memory_of((caller.pod.namespace, caller.pod.job))
    if memory is None or memory.ledger is None or memory.job.spec is None:
        raise CallRefusedError("Unavailable", "the Job is not loaded yet; try again later")
    if not memory.job.spec.outside.presigned:
        raise CallRefusedError(
            "Forbidden",
            "the Job gives no signed addresses: set spec.outside.presigned: true, or use keys of "
            "the worker's own",
        )
    task = task_for(memory, caller.task, caller.attempt, caller.pod)
    others = _dependencies(memory, task)
    orders = [_order(each, task, others) for each in call.requests]

    def sign_all(store: Store) -> tuple[SignedRequest, ...]:
        found = [store.sign(*order) for order in orders]
        return tuple(SignedRequest(url=u, headers=h, expires=e) for u, h, e in found)

    try:
        signed = await gateway.ctx.storage.call("sign", sign_all) if orders else ()
    except StoreError as error:
        raise CallRefusedError("Unavailable", str(error)) from error
    told = {job: f"s3://{bucket}/{prefix}" for job, (bucket, prefix) in others.items()}
    return Signed(signed=signed, dependencies=told)


def _dependencies(memory: Memory, task: Task) -> dict[str, Place]:
    """Return where the jobs write for the task's volume on which its job depends."""
    found = {}
    for place in memory.books.gates.places:
        try:
            prefix = OutputTemplate.parse(place.prefix).prefix(place.job_id, task.volume)
        except TemplateError:
            continue  # it has no place for this volume
        found[place.job_id] = (place.bucket, prefix)
    return found


def _order(asked: ToSign, task: Task, others: dict[str, Place]) -> _Order:
    bucket, prefix = task.bucket, task.prefix
    if asked.job_id and asked.job_id != task.job_id:
        if asked.job_id not in others:
            raise CallRefusedError("Forbidden", "job_id: no job of spec.dependsOn; name one of it")
        if asked.operation not in _READING:
            raise CallRefusedError("Forbidden", "the output of another job can be read, no more")
        bucket, prefix = others[asked.job_id]
    key = prefix + checked(asked.key, is_list=asked.operation == "ListObjectsV2")
    if len(key.encode()) > _KEY_BYTES:
        raise CallRefusedError(
            "Invalid", f"key: with its prefix it has more than {_KEY_BYTES} bytes; shorten it"
        )
    return asked.operation, bucket, _arguments(asked, key)


def checked(key: str, *, is_list: bool) -> str:
    """Return a key below a prefix; raises CallRefusedError for one that could lead elsewhere."""
    parts = key.split("/")
    if is_list and parts[-1] == "":
        parts.pop()  # a list may be of the prefix itself, or of a folder
    if _REFUSED.search(key) or any(part in {"", ".", ".."} for part in parts):
        raise CallRefusedError(
            "Invalid",
            "key: write it relative to the task's output, like text/page-1.txt: without '..', '//',"
            " a slash at either end, backslashes and control characters",
        )
    return key


def _arguments(asked: ToSign, key: str) -> dict[str, Any]:
    if asked.operation == "ListObjectsV2":
        wanted: dict[str, Any] = {
            "Delimiter": asked.delimiter,
            "EncodingType": asked.encoding,
            "StartAfter": asked.start_after,
            "ContinuationToken": asked.token,
        }
        given = {name: value for name, value in wanted.items() if value}
        return {"Prefix": key, "MaxKeys": asked.max_keys, **given}
    arguments: dict[str, Any] = {"Key": key}
    if asked.operation in _OF_UPLOAD:
        if not asked.upload_id:
            raise CallRefusedError("Invalid", f"upload_id: {asked.operation} needs one")
        arguments["UploadId"] = asked.upload_id
    if asked.operation == "UploadPart":
        arguments["PartNumber"] = asked.part
    if asked.operation in {"PutObject", "CreateMultipartUpload"} and asked.content_type:
        arguments["ContentType"] = asked.content_type
    return arguments
