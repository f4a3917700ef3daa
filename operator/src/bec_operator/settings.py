"""Settings of the operator, from the environment: `BEC_OPERATOR_…`, and the usual `AWS_…`."""

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bec_operator.api.results import Results
from bec_operator.decide.volumes.ledger import MAX_TOTAL
from bec_ops.contract.s3.settings import ACCOUNT, Encryption, StoreSettings

_KEY_FORM = (
    'write "whsec_" and 24 to 64 random bytes in base64, such as the output of '
    'echo "whsec_$(head -c 32 /dev/urandom | base64)"'
)


class ConnectionSettings(BaseModel):
    """A server that Jobs may name, and the namespaces whose Jobs may; `*` stands for all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=50, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    kind: Literal["sql", "sqs"]
    namespaces: frozenset[str] = Field(min_length=1)

    def serves(self, namespace: str) -> bool:
        """Whether Jobs of a namespace may use it."""
        return bool(self.namespaces & {"*", namespace})


class FaceSettings(BaseModel):
    """A protocol of another system that is spoken on a port.

    `enrolment` names that of all workers of a protocol by which nobody says who he is. `workers`
    are networks and names of machines that are called, where work is pushed to workers: none else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    face: Literal["data-dispatcher", "flamenco", "reefguide", "grpc"]
    port: int = Field(ge=1, le=65535)
    tls: bool = True
    enrolment: str = Field(default="", max_length=253)
    workers: list[str] = Field(default=[], max_length=1000)


class Settings(BaseSettings):
    """What can be set; the defaults suit a cluster of ordinary size."""

    model_config = SettingsConfigDict(env_prefix="BEC_OPERATOR_", populate_by_name=True)

    namespaces: Annotated[list[str], NoDecode] = Field(
        default=[], description="Namespaces to serve, separated by commas; empty: all"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "plain"] = "json"
    worker_port: int = Field(default=8080, description="The worker API")
    health_port: int = Field(default=8081, description="/healthz")
    metrics_port: int = Field(default=9090, description="/metrics")
    api_requests: int = Field(default=32, ge=1, description="Writes to the API server at once")
    s3_requests: int = Field(default=32, ge=1, description="Requests to S3 at once")
    watch_age: float = Field(
        default=120.0, gt=0, description="Seconds without a sign from a watch that end the process"
    )
    max_pods: int = Field(default=500, ge=1, description="Pods of all Jobs together, at most")
    max_volumes: int = Field(
        default=1_000_000, ge=1, le=MAX_TOTAL, description="Volumes of one Job, at most"
    )
    list_every: float = Field(
        default=60.0, gt=0, description="Seconds between two looks at a Job's list of volumes"
    )
    connections: list[ConnectionSettings] = Field(
        default=[], description="Databases and queues that Jobs may name, as JSON"
    )
    connections_folder: str = Field(
        default="/etc/bec/connections", description="Has a folder for each, with its Secret's keys"
    )
    results: Results | None = Field(
        default=None, description="Where results of Jobs go that say nothing of it, as JSON"
    )
    show_seconds: float = Field(
        default=30.0, gt=0, description="Seconds between two looks at what runs in a database"
    )
    query_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Seconds that a query of a Job may take, with all its rows",
    )
    worker_url: str | None = Field(
        default=None, description="Where workers reach the worker API; unset: they are not told"
    )
    own_namespace: str = Field(
        default="",
        description="The operator's own, which has the Secrets of workers from elsewhere",
    )
    outside_port: int = Field(
        default=0, ge=0, description="The worker API for workers from elsewhere, over TLS; 0: off"
    )
    outside_tls: str = Field(
        default="/etc/bec/tls", description="Has its certificate: tls.crt, tls.key"
    )
    faces: list[FaceSettings] = Field(
        default=[], description="Protocols of other systems, each on a port, as JSON"
    )
    heartbeat_seconds: float = Field(
        default=30.0, gt=0, description="Seconds between two heartbeats of a worker"
    )
    worker_connections: int = Field(
        default=10_000, ge=1, description="Connections of workers at once, at most"
    )
    worker_connections_of_address: int = Field(
        default=1_000, ge=1, description="Connections of one address at once, at most"
    )
    worker_request_seconds: float = Field(
        default=10.0, gt=0, description="Seconds that the head of a request may take to come"
    )
    worker_idle_seconds: float = Field(
        default=75.0, gt=0, description="Seconds that a connection of a worker may be idle"
    )
    gate_seconds: float = Field(
        default=60.0, gt=0, description="Seconds between two looks in S3 for what a job waits for"
    )
    node_lost_seconds: float = Field(
        default=300.0,
        gt=0,
        description="Seconds after which a node that is not Ready, and on which a pod does not "
        "end, is lost: the pod is deleted by force",
    )
    marker_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Seconds that S3 may take to show the marker of a worker that says that it is "
        "done: only then is it missing",
    )
    webhook_url: AnyHttpUrl | None = Field(
        default=None, description="Where notifications go; unset: nobody is notified"
    )
    webhook_key: SecretStr | None = Field(
        default=None, description="Signs notifications: whsec_ and 24 to 64 bytes in base64"
    )
    s3_server_side_encryption: Encryption = Field(
        default="", description="With what S3 is to encrypt what is written; empty: as it likes"
    )
    s3_kms_key_id: str = Field(default="", description="The key of KMS for that, with aws:kms")
    s3_expected_bucket_owner: str = Field(
        default="", pattern=ACCOUNT, description="The AWS account that all buckets have to be of"
    )
    s3_requester_pays: bool = Field(
        default=False, description="Pay for requests to buckets of which somebody else does not"
    )
    s3_patience_seconds: float = Field(
        default=300.0, ge=0, description="Seconds that workers try again what S3 does not answer"
    )
    s3_ca_config_map: str = Field(
        default="", description="The ConfigMap, in each namespace of Jobs, with the CAs of S3"
    )
    s3_ca_key: str = Field(default="ca.crt", description="Its key that has them, as PEM")
    s3_endpoint: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL_S3")
    s3_region: str | None = Field(default=None, validation_alias="AWS_REGION")

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value

    @field_validator("connections")
    @classmethod
    def _check_names(cls, connections: list[ConnectionSettings]) -> list[ConnectionSettings]:
        names = [connection.name for connection in connections]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two connections have the name {twice}: give each its own")
        return connections

    def results_of(self, namespace: str) -> Results | None:
        """Return where results of Jobs of a namespace go that say nothing of it themselves.

        It is nowhere for those that may not use the connections.
        """
        given = (self.results.sql, self.results.queue) if self.results is not None else ()
        named = {each.connection for each in given if each is not None}
        serving = {each.name for each in self.connections if each.serves(namespace)}
        return self.results if named <= serving else None

    @model_validator(mode="after")
    def _check_results(self) -> Self:
        kinds = {connection.name: connection.kind for connection in self.connections}
        given = self.results or Results.model_construct()
        for kind, to in (("sql", given.sql), ("sqs", given.queue)):
            if to is not None and kinds.get(to.connection) != kind:
                raise ValueError(f"results: there is no {kind} connection {to.connection}")
        return self

    @field_validator("webhook_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            prefix, _, rest = key.get_secret_value().partition("_")
            try:
                length = len(base64.b64decode(rest, validate=True))
            except binascii.Error:
                length = 0
            if prefix != "whsec" or not 24 <= length <= 64:
                raise ValueError(_KEY_FORM)
        return key

    @property
    def store(self) -> StoreSettings:
        """What S3 wants beside each request, of the operator and of workers."""
        return StoreSettings(
            server_side_encryption=self.s3_server_side_encryption,
            kms_key_id=self.s3_kms_key_id,
            expected_bucket_owner=self.s3_expected_bucket_owner,
            requester_pays=self.s3_requester_pays,
            patience=self.s3_patience_seconds,
        )

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if self.s3_kms_key_id and not self.s3_server_side_encryption.startswith("aws:kms"):
            raise ValueError("s3_kms_key_id is for s3_server_side_encryption=aws:kms: set both")
        return self

    @model_validator(mode="after")
    def _check_webhook(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_key is None):
            raise ValueError(
                "webhook_url and webhook_key belong together: notifications are always signed; "
                "set both or none"
            )
        return self
