"""Where the output of a task is in S3: from a template and exact ids to a key prefix.

Every id is escaped, so that whatever it holds it can neither leave its place in the path nor
make two volumes meet: between any two placeholders a template has a character that no escaped
id contains.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from bec_ops.contract.volume import Volume, check_id, check_volume

MAX_PREFIX_BYTES = 1000
"""S3 allows keys of 1,024 bytes; the rest is for the names of the artefacts."""

LOG_FOLDER = "_logs/"
"""Where, under a task's prefix, the logs of its attempts are."""

_UID_SHOWN = 8  # characters: 32 random bits of it

_NOT_OF_UID = re.compile(r"[^0-9A-Za-z-]")
_LOG_OF_TASK = re.compile(rf"{LOG_FOLDER}attempt-\d+-[^/]*\.log").fullmatch
_VOLUME_IDS = ("w_id", "i_id", "i_version")
_KNOWN = ("job_id", *_VOLUME_IDS)
_REQUIRED = ("job_id", "w_id", "i_id")
_EXAMPLE = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"
_REPORTS_EXAMPLE = "artefacts/{job_id}/_job/"

_SAFE = re.compile(r"[A-Za-z0-9_.:]+").fullmatch
_UNSAFE_BYTE = re.compile(rb"[^A-Za-z0-9_.:]")
_SEPARATING = re.compile(r"[^A-Za-z0-9_.:%]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class TemplateError(ValueError):
    """A template that is refused, or one that has no place for a volume; says what to write."""


def escape(identifier: str) -> str:
    """Write an id as it stands in a path.

    Every UTF-8 byte outside ``A-Za-z0-9_.:`` becomes ``%XX``, and so do the dots of an id that
    is ``.`` or ``..``, which some tools would read as a folder. Different ids stay different.
    """
    if identifier in {".", ".."}:
        return "%2E" * len(identifier)
    if _SAFE(identifier):
        return identifier
    escaped = _UNSAFE_BYTE.sub(lambda byte: b"%%%02X" % ord(byte[0]), identifier.encode())
    return escaped.decode("ascii")


@dataclass(frozen=True)
class OutputTemplate:
    """A checked template of output prefixes; make one with `parse`.

    `parts` is the text cut at its placeholders: literals at even places, names at odd ones.
    """

    text: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a template; raises TemplateError with what is wrong and what to write instead."""
        parts = _split(text, known=_KNOWN, required=_REQUIRED, example=_EXAMPLE)
        names, between = parts[1::2], parts[2:-1:2]
        for first, literal, second in zip(names, between, names[1:], strict=False):
            if not _SEPARATING.search(literal):
                raise TemplateError(
                    f"{text!r}: between {{{first}}} and {{{second}}} stands {literal!r}, which "
                    "could be part of an id, so two volumes could get the same place; write "
                    f"{{{first}}}-{{{second}}} or {{{first}}}/{{{second}}}"
                )
        if names[0] == "i_version":
            raise TemplateError(
                f"{text!r} has {{i_version}} before all other placeholders; a volume without a "
                "version leaves it out together with what stands between it and the placeholder "
                f"before it, so put it after another one, for example {_EXAMPLE!r}"
            )
        return cls(text, parts)

    def prefix(self, job_id: str, volume: Volume) -> str:
        """Return the key prefix of the task's artefacts, ending in ``/``.

        Raises TemplateError where the template has no unambiguous place for this volume, and
        ValueError for an id that `check_id` refuses.
        """
        check_id(job_id)
        check_volume(volume)
        self._check_version(volume)
        rendered = self.known_prefix(job_id, volume)
        size = len(rendered.encode())
        if size > MAX_PREFIX_BYTES:
            raise TemplateError(
                f"the output prefix of volume {volume} would have {size} bytes, and an S3 key "
                f"has room for {MAX_PREFIX_BYTES}; use a shorter template than {self.text!r} or "
                "shorter ids"
            )
        return rendered

    def known_prefix(self, job_id: str, volume: Volume) -> str:
        """Return what `prefix` does, in half the time, for what `prefix` has not refused."""
        w_id, i_id, i_version = volume
        values = {"job_id": job_id, "w_id": w_id, "i_id": i_id, "i_version": i_version}
        return _render(self.parts, values)

    def common_folder(self, job_id: str) -> str:
        """Return the deepest folder that holds the output of all volumes of a job.

        It ends in ``/``, or is empty where a volume's id stands in the first path component.
        """
        first = next(n for n in range(1, len(self.parts), 2) if self.parts[n] in _VOLUME_IDS)
        head = _render(self.parts[:first], {"job_id": job_id})
        return head[: head.rfind("/") + 1]

    def volume_folder(self, job_id: str, volume: Volume) -> str:
        """Return what a LIST with ``Delimiter=/`` of the common folder shows for this volume."""
        start = len(self.common_folder(job_id))
        prefix = self.prefix(job_id, volume)
        return prefix[: prefix.index("/", start) + 1]

    def _check_version(self, volume: Volume) -> None:
        """Refuse a volume that could share its place with, or hold, another version's."""
        if "i_version" not in self.parts:
            if volume.i_version:
                raise TemplateError(
                    f"volume {volume} has a version, but {self.text!r} has no place for it, so "
                    "all versions would share one output; add {i_version}, for example "
                    f"{_EXAMPLE!r}"
                )
        elif not volume.i_version and "/" in self.parts[self.parts.index("i_version") - 1]:
            raise TemplateError(
                f"volume {volume} has no version, and {{i_version}} begins a folder of its own "
                f"in {self.text!r}, so this volume's output would be the parent folder of other "
                f"versions'; give it a version or write -{{i_version}}, as in {_EXAMPLE!r}"
            )


def reports_prefix(template: str, job_id: str) -> str:
    """Return the key prefix of a job's manifest and reports, ending in ``/``.

    The one placeholder is ``{job_id}``, and it must occur: reports belong to one job. Raises
    TemplateError, and ValueError for an id that `check_id` refuses.
    """
    parts = _split(template, known=("job_id",), required=("job_id",), example=_REPORTS_EXAMPLE)
    check_id(job_id)
    return _render(parts, {"job_id": job_id})


def is_under(place: str, name: str) -> bool:
    """Whether a name is that of a place, or is below it.

    In a store over a file system there can be no file where there is a folder, nor the reverse.
    """
    return f"{name}/".startswith(f"{place.rstrip('/')}/")


def log_key(prefix: str, attempt: int, task_uid: str) -> str:
    """Return the key of what an attempt has printed; `prefix` is that of its task, or empty.

    Attempts of another VolumeTask of the volume begin at 1 as well, so the beginning of the UID
    is part of the name; there is none where no operator asked for the task.
    """
    task = f"-{_NOT_OF_UID.sub('', task_uid)[:_UID_SHOWN]}" if task_uid else ""
    return f"{prefix}{LOG_FOLDER}attempt-{attempt}{task}.log"


def may_be_log_of(name: str, attempt: int, task_uid: str) -> bool:
    """Whether a log, by its name under the prefix, may be this attempt's.

    A worker with no part of ours may call its log as it likes.
    """
    return name == log_key("", attempt, task_uid) or not _LOG_OF_TASK(name)


def _render(parts: tuple[str, ...], values: Mapping[str, str]) -> str:
    """Put the values in; an empty one takes the literal before it along."""
    rendered = [
        literal + escape(value)
        for literal, name in zip(parts[::2], parts[1::2], strict=False)
        if (value := values[name])
    ]
    return "".join([*rendered, parts[-1]])


def _split(
    text: str, *, known: Collection[str], required: Collection[str], example: str
) -> tuple[str, ...]:
    """Cut a template at its placeholders, having checked those and the path they stand in."""
    parts = tuple(_PLACEHOLDER.split(text))
    listed = ", ".join(f"{{{name}}}" for name in known)
    for name in parts[1::2]:
        if name not in known:
            raise TemplateError(
                f"{text!r} has the unknown placeholder {{{name}}}; known are {listed}"
            )
        if parts[1::2].count(name) > 1:
            raise TemplateError(f"{text!r} has {{{name}}} more than once; write it once")
    if any(brace in literal for literal in parts[::2] for brace in "{}"):
        raise TemplateError(
            f"{text!r} has a stray brace; braces only enclose a placeholder: {listed}"
        )
    missing = [f"{{{name}}}" for name in required if name not in parts[1::2]]
    if missing:
        raise TemplateError(
            f"{text!r} lacks {' and '.join(missing)}; write for example {example!r}"
        )
    _check_path(text, example)
    return parts


def _check_path(text: str, example: str) -> None:
    """Refuse paths that tools read in different ways."""
    if "://" in text or text.startswith("/"):
        raise TemplateError(
            f"{text!r} must be a path inside the bucket, without bucket and leading '/'; "
            f"write for example {example!r}"
        )
    if not text.endswith("/"):
        raise TemplateError(f"{text!r} must end in '/'; write {text + '/'!r}")
    components = text[:-1].split("/")
    for wrong, name in (("", "'//'"), (".", "the component '.'"), ("..", "the component '..'")):
        if wrong in components:
            raise TemplateError(f"{text!r} holds {name}, which has no meaning in S3; leave it out")
    if _CONTROL.search(text):
        raise TemplateError(f"{text!r} holds a control character; leave it out")
