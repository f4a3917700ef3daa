"""Where the volumes of a Job come from: listed in it, a ConfigMap, S3, a database, a queue."""

from typing import Self

from pydantic import Field, model_validator

from bec_operator.api.base import Id, ObjectName, Resource, VersionId, rule, schema, validations
from bec_operator.api.listing import ListingSource
from bec_operator.api.query import SqlSource
from bec_operator.api.queue import QueueSource
from bec_operator.api.sites import SiteName
from bec_operator.api.versions import Versions

MAX_INLINE_VOLUMES = 1000
KINDS = ("items", "manifest", "configMap", "s3", "sql", "queue")

_ONE = f"give exactly one source of volumes: {', '.join(KINDS[:-1])} or {KINDS[-1]}"


class VolumeId(Resource):
    """A volume, as written in a resource."""

    w_id: Id
    i_id: Id
    i_version: VersionId = ""


class Item(VolumeId):
    """A volume of a Job's own list."""

    site: SiteName | None = Field(default=None, description="Where it is to be done")


class ManifestSource(Resource):
    """A list of volumes in S3: csv or jsonl, also gzipped."""

    uri: str = Field(
        max_length=1100,
        pattern=r"^s3://[^/]+/.+$",
        description="s3://bucket/key of a csv or jsonl list, also gzipped",
    )


class ConfigMapSource(Resource):
    """A list of volumes in a ConfigMap of the Job's namespace."""

    name: ObjectName
    key: str = Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")


_SAME_KIND = " && ".join(f"has(self.{kind}) == has(oldSelf.{kind})" for kind in KINDS)


class VolumeSource(Resource):
    """Where the volumes come from: exactly one source, whose kind never changes."""

    model_config = schema(
        validations(
            rule(
                f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}]"
                ".filter(given, given).size() == 1",
                _ONE,
            ),
            rule(
                _SAME_KIND,
                "the kind of source cannot be changed: make a new Job instead",
            ),
            rule(
                "has(self.versions) == has(oldSelf.versions)",
                "versions can neither be added nor taken away, since volumes that are done would "
                "become others: make a new Job instead",
            ),
            rule(
                f"!has(self.items) || self.items.size() <= {MAX_INLINE_VOLUMES}",
                f"at most {MAX_INLINE_VOLUMES} volumes fit into items: put a longer list into "
                "S3 and name it in volumes.manifest.uri (csv or jsonl)",
            ),
        )
    )

    # Neither a map nor a set. As the key of a map an absent version would need a default: the API
    # server would write it into the list, and tools that compare the Job with its file would always
    # differ. And server-side apply has no sets of maps. The operator sees what stands there twice.
    items: list[Item] | None = Field(
        default=None, min_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    manifest: ManifestSource | None = None
    config_map: ConfigMapSource | None = None
    s3: ListingSource | None = None
    sql: SqlSource | None = None
    queue: QueueSource | None = None
    versions: Versions | None = Field(
        default=None, description="How the version of a volume is found that comes without one"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.items, self.manifest, self.config_map, self.s3, self.sql, self.queue)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(_ONE)
        return self
