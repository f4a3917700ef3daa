"""The commands of a Flamenco task: the Job's template of them, with the values of a volume.

The template is `worker.parameters.flamenco`. A worker would fail one volume after the other with
what it does not know, so it is checked here: what is wrong is said before anything runs.
"""

import json
import re
import shlex
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bec_operator.gateway.faces.flamenco.settings_needed import NEEDED
from bec_ops.contract.task import Task

FILLED_BYTES = 1024 * 1024
"""Of all values together that are filled in."""
_WHERE = "worker.parameters.flamenco"
_EXAMPLE = '{"commands": [{"name": "exec", "settings": {"cmd": "ocr {w_id} {i_id} {output_uri}"}}]}'
_OF_VOLUME = ("w_id", "i_id", "i_version", "output_uri", "attempt", "job_id")
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][\w.-]*)\}\}|\{([A-Za-z_][\w.-]*)\}")


class TemplateError(ValueError):
    """No commands can be made; the message says what is wrong, where, and what to write."""


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    settings: dict[str, Any] = {}


class _Template(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    task_type: str | None = None
    commands: tuple[_Command, ...] = Field(min_length=1, max_length=100)


def task_id(task_uid: str, attempt: int) -> str:
    """Return the id of an attempt: letters, digits and `-`, as it stands in addresses."""
    return f"{task_uid}-{attempt}"


def task_document(task: Task, job: str) -> dict[str, object]:
    """Return a task as a worker reads it; raises TemplateError."""
    template, filling = _template_of(task), _Filling(task)
    commands = [
        {"name": each.name, "settings": _settings_of(f"{_WHERE}.commands.{number}", each, filling)}
        for number, each in enumerate(template.commands)
    ]
    return {
        "_id": task_id(task.task_uid, task.attempt),
        "job": job,
        "job_type": "bec",
        "task_type": task.handler,
        "name": f"{task.w_id} {task.i_id} {task.i_version}".strip(),
        "status": "queued",
        "commands": commands,
    }


def number_of_commands(task: Task) -> int | None:
    """Return how many commands a task has, if that can be told."""
    try:
        return len(_template_of(task).commands)
    except TemplateError:
        return None


def _template_of(task: Task) -> _Template:
    given = task.parameters.get("flamenco")
    if given is None:
        raise TemplateError(f"{_WHERE} is missing, which has the commands: write {_EXAMPLE}")
    try:
        template = _Template.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        )
        raise TemplateError(f"{_WHERE}: {wrong}; write it as in {_EXAMPLE}") from None
    if template.task_type not in {None, task.handler}:
        raise TemplateError(
            f"{_WHERE}.task_type is {template.task_type!r}, and worker.handler, by which workers "
            f"are chosen, {task.handler!r}: write the same, or leave task_type out"
        )
    return template


def _settings_of(where: str, command: _Command, filling: "_Filling") -> dict[str, Any]:
    needed = NEEDED.get(command.name)
    if needed is None:
        raise TemplateError(
            f"{where}: there is no command {command.name!r}; there are {', '.join(NEEDED)}"
        )
    missing = [name for name in needed if command.settings.get(name) in (None, "")]
    if missing:
        raise TemplateError(
            f"{where}.settings: {command.name} needs {' and '.join(missing)}: add what is missing"
        )
    is_line = command.name == "exec"
    return {
        name: filling.line(value, f"{where}.settings.{name}")
        if is_line and name == "cmd"
        else filling.fill(value, f"{where}.settings.{name}")
        for name, value in command.settings.items()
    }


class _Filling:
    """Puts the values of a task where a template has placeholders."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._left = FILLED_BYTES

    def fill(self, template: Any, where: str) -> Any:
        """Return a setting with its values, in all strings within it.

        A placeholder that stands alone is replaced by its value as it is, of whatever kind.
        """
        if isinstance(template, dict):
            return {key: self.fill(value, f"{where}.{key}") for key, value in template.items()}
        if isinstance(template, list):
            return [self.fill(value, f"{where}.{at}") for at, value in enumerate(template)]
        if not isinstance(template, str):
            return template
        alone = _PLACEHOLDER.fullmatch(template)
        if alone is not None and alone[2]:
            return self._value(alone[2], where)
        return self._text(template, where)

    def line(self, template: object, where: str) -> str:
        """Fill a command line word by word: a value is never split, nor are its quotes read."""
        if not isinstance(template, str):
            raise TemplateError(f"{where}: a command line is a string: write one")
        try:
            words = shlex.split(template)
        except ValueError as error:
            raise TemplateError(
                f"{where}: {error}: close what is open, or quote the character"
            ) from None
        return shlex.join(self._text(word, where) for word in words)

    def _text(self, template: str, where: str) -> str:
        def value_of(found: re.Match[str]) -> str:
            if found[1]:
                return f"{{{found[1]}}}"
            value = self._value(found[2], where)
            if isinstance(value, dict | list):
                raise TemplateError(
                    f"{where}: {{{found[2]}}} is no text, so it cannot be part of one: name "
                    "what is in it, or make it the whole of a setting"
                )
            return value if isinstance(value, str) else json.dumps(value)

        return _PLACEHOLDER.sub(value_of, template)

    def _value(self, name: str, where: str) -> Any:
        value = self._find(name)
        if value is None:
            raise TemplateError(
                f"{where}: {{{name}}} is unknown; there are {', '.join(_OF_VOLUME)}, and "
                "parameters.NAME for what worker.parameters has. Write "
                f"{{{{{name}}}}} if {{{name}}} is to stay there"
            )
        self._left -= len(value if isinstance(value, str) else json.dumps(value))
        if self._left < 0:
            raise TemplateError(
                f"{where}: the values that are filled in have more than {FILLED_BYTES} bytes "
                "together: put what is large where the worker can read it"
            )
        return value

    def _find(self, name: str) -> Any:
        if name in _OF_VOLUME:
            return getattr(self._task, name)
        root, *parts = name.split(".")
        found: Any = self._task.parameters if root == "parameters" and parts else None
        for part in parts:
            found = found.get(part) if isinstance(found, dict) else None
        return found
