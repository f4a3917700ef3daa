from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterReq(_message.Message):
    __slots__ = ("address",)
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    address: str
    def __init__(self, address: _Optional[str] = ...) -> None: ...

class RegisterRes(_message.Message):
    __slots__ = ("success", "workerID")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    WORKERID_FIELD_NUMBER: _ClassVar[int]
    success: bool
    workerID: str
    def __init__(self, success: _Optional[bool] = ..., workerID: _Optional[str] = ...) -> None: ...

class DeregisterReq(_message.Message):
    __slots__ = ("workerID",)
    WORKERID_FIELD_NUMBER: _ClassVar[int]
    workerID: str
    def __init__(self, workerID: _Optional[str] = ...) -> None: ...

class DeregisterRes(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class StartJobReq(_message.Message):
    __slots__ = ("command", "path")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    command: str
    path: str
    def __init__(self, command: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class StartJobRes(_message.Message):
    __slots__ = ("jobID",)
    JOBID_FIELD_NUMBER: _ClassVar[int]
    jobID: str
    def __init__(self, jobID: _Optional[str] = ...) -> None: ...

class StopJobReq(_message.Message):
    __slots__ = ("jobID",)
    JOBID_FIELD_NUMBER: _ClassVar[int]
    jobID: str
    def __init__(self, jobID: _Optional[str] = ...) -> None: ...

class StopJobRes(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryJobReq(_message.Message):
    __slots__ = ("jobID",)
    JOBID_FIELD_NUMBER: _ClassVar[int]
    jobID: str
    def __init__(self, jobID: _Optional[str] = ...) -> None: ...

class QueryJobRes(_message.Message):
    __slots__ = ("done", "error", "errorText", "stopped")
    DONE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ERRORTEXT_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    done: bool
    error: bool
    errorText: str
    stopped: bool
    def __init__(self, done: _Optional[bool] = ..., error: _Optional[bool] = ..., errorText: _Optional[str] = ..., stopped: _Optional[bool] = ...) -> None: ...

class StreamJobReq(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class StreamJobRes(_message.Message):
    __slots__ = ("output",)
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    output: str
    def __init__(self, output: _Optional[str] = ...) -> None: ...
