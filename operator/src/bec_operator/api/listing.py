"""Volumes that S3 shows: folders, or objects, whose keys hold the ids."""

import re

from pydantic import Field, field_validator

from bec_operator.api.base import Duration, Resource, rule, validations

PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
OF_ONE_LENGTH = "w_md5"  # two digits: where it ends is clear whatever follows
_NO_WORK = "the key has to hold the id of the work: write {w_id} into it"
_NO_GROUP = "the key has to differ for each volume: write {i_id} or {i_folder} into it"


class ListingSource(Resource):
    """Each folder that fits is a volume."""

    uri: str = Field(
        max_length=1100,
        pattern=r"^s3://[^/{}]+/.+$",
        description="s3://bucket/key with {w_id} and {i_id} or {i_folder} (four digits stand for "
        "an image group as I0886), also {i_version} and {w_md5} (two digits of the MD5 of w_id); "
        "any other name in braces stands for whatever is there",
        json_schema_extra=validations(
            rule("self.contains('{w_id}')", _NO_WORK),
            rule("self.contains('{i_id}') || self.contains('{i_folder}')", _NO_GROUP),
        ),
    )
    every: Duration = Field(
        default="1h", description="How often the folders are listed again, all of them"
    )

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, uri: str) -> str:
        known: set[str] = set()
        for segment in segments_of(uri):
            _check_braces(segment)
            _check_cuts(segment, known)
            known.update(names_in(segment))
        if "w_id" not in known:
            raise ValueError(_NO_WORK)
        if not {"i_id", "i_folder"} & known:
            raise ValueError(_NO_GROUP)
        return uri


def segments_of(uri: str) -> list[str]:
    """Return what stands between the slashes of the key."""
    _, _, key = uri.removeprefix("s3://").partition("/")
    return key.split("/")


def names_in(segment: str) -> list[str]:
    """Return the placeholders of a part of a template, each time that one stands there."""
    return PLACEHOLDER.findall(segment)


def _check_braces(segment: str) -> None:
    if set("{}") & set(PLACEHOLDER.sub("", segment)):
        raise ValueError(
            f"{segment!r} has a brace that belongs to no placeholder; these are written as "
            "{w_id}, with letters, digits and _"
        )


def _check_cuts(segment: str, known: set[str]) -> None:
    """Refuse what a name could fit in two ways; what is `known` from above it has one text."""
    names, literals = names_in(segment), PLACEHOLDER.split(segment)[::2]
    for first, literal, second in zip(names, literals[1:], names[1:], strict=False):
        if not literal:
            raise ValueError(
                f"between {{{first}}} and {{{second}}} nothing says where one ends; write "
                f"{{{first}}}-{{{second}}} or {{{first}}}/{{{second}}}, as the keys have it"
            )
    unknown = [n for n in dict.fromkeys(names) if n not in known and n != OF_ONE_LENGTH]
    if len(unknown) > 1:
        first, second = unknown[:2]
        raise ValueError(
            f"{segment!r} can fit one name in two ways, since {{{first}}} and {{{second}}} may "
            f"hold what stands between them; {{{first}}} has to stand in a folder above as well, "
            f"as in {{{first}}}/{segment}"
        )
