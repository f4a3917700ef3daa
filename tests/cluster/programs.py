"""Programs that are run to their end."""

import subprocess

from .errors import ClusterError


def run_to_end(*command: str) -> str:
    """Run a program and give what it printed; its last words, if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(command[:3])
        raise ClusterError(f"{shown} … failed; its last words:\n{done.stdout[-3000:]}")
    return done.stdout
