"""Whether a worker is one of a pod or from elsewhere, as its environment and arguments say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from bec_ops.outside.configuration import read_configuration
from bec_ops.outside.identity import StateFolder
from bec_ops.outside.keys import Keys, seconds

_PANEL = "A worker that is not of the cluster"

State = Annotated[
    str, typer.Option(help="the folder with this worker's id and secret", rich_help_panel=_PANEL)
]
Site = Annotated[str, typer.Option(help="where this machine is", rich_help_panel=_PANEL)]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", help="of this Job, [NAMESPACE/]NAME", rich_help_panel=_PANEL),
]
HandlerNames = Annotated[
    list[str] | None,
    typer.Option("--handler", help="of Jobs with this handler", rich_help_panel=_PANEL),
]
Once = Annotated[bool, typer.Option("--once", help="do one task", rich_help_panel=_PANEL)]
UntilIdle = Annotated[
    str,
    typer.Option(help="end when no task has come for so long, such as 10m", rich_help_panel=_PANEL),
]


@dataclass(frozen=True)
class Wanted:
    """What the arguments say of a worker from elsewhere."""

    once: bool = False
    until_idle: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def idle_seconds(self) -> float | None:
        """After how long without a task it ends; None if never."""
        if not self.until_idle:
            return None
        try:
            return float(str(seconds(self.until_idle)))
        except ValueError as error:
            raise typer.BadParameter(f"--until-idle {self.until_idle!r}: {error}") from None

    @property
    def _given(self) -> bool:
        return self.once or bool(self.until_idle) or any(self.keys.values())

    def outside(self, environ: Mapping[str, str] = os.environ) -> Keys | None:
        """Return the configuration of a worker from elsewhere; None if this is none.

        What describes a pod's task counts first. Elsewhere a worker must be registered, or able
        to register, unless it is asked by name for what only one from elsewhere does.
        """
        _ = self.idle_seconds
        if environ.get("BEC_JOB_ID"):
            if self._given:
                raise typer.BadParameter(
                    "the environment describes the task of a pod (BEC_JOB_ID): what is for a "
                    "worker from elsewhere is of no use to it"
                )
            return None
        keys = read_configuration(self.keys, environ).keys
        may_register = bool(keys.url and (keys.token or keys.token_file))
        if self._given or may_register or StateFolder(keys.state).identity() is not None:
            return keys
        return None
