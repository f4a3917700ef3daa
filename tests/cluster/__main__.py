"""The command line of the local cluster: `python -m tests.cluster --help`."""

import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.support import ddisp, queues

from .binaries import build_all
from .cluster import Cluster, Parts, clusters, remove
from .errors import ClusterError
from .images import IMAGES, archive, image_ref

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console()

Name = Annotated[str, typer.Option(help="which cluster; several can run beside each other")]


@app.command()
def build() -> None:
    """Build the programs that the cache lacks, and bring in what tests run beside the cluster."""
    build_all()
    queues.install()
    ddisp.install()


@app.command()
def up(
    name: Name = "dev",
    parts: Annotated[Parts, typer.Option(help="how much of a cluster")] = Parts.NODE,
) -> None:
    """Start a cluster and leave it up; does nothing if it is up already."""
    cluster = next((each for each in clusters() if each.name == name), None)
    if not cluster or cluster.parts is not parts or not cluster.healthy():
        cluster = Cluster.start(name, parts)
        cluster.detach()
    console.print(f"cluster {name} is up; look around with:")
    console.print(f'eval "$(python -m tests.cluster env --name {name})"', soft_wrap=True)


@app.command()
def down(name: Name = "dev") -> None:
    """Stop a cluster and leave nothing behind but its logs."""
    there = remove(name)
    console.print(f"cluster {name} is down" if there else f"there was no cluster {name}")


@app.command()
def env(name: Name = "dev") -> None:
    """Print the lines for a shell to `eval`, so that kubectl and the AWS tools find the cluster."""
    for variable, value in Cluster.attach(name).environment().items():
        typer.echo(f"export {variable}={shlex.quote(value)}")
    typer.echo(f'export PATH="$PATH":{shlex.quote(str(Path(sys.executable).parent))}')


@app.command()
def load(
    image: Annotated[str, typer.Argument(help=f"one of {', '.join(IMAGES)}")],
    name: Name = "dev",
) -> None:
    """Build an image of this checkout, if need be, and load it into a cluster."""
    if image not in IMAGES:
        raise ClusterError(f"there is no image {image}; name one of {', '.join(IMAGES)}")
    Cluster.attach(name).load_image(archive(image), image_ref(image))
    console.print(f"pods may use {image_ref(image)}", soft_wrap=True)


@app.command()
def status() -> None:
    """Show the clusters that there are, and which of their processes run."""
    table = Table("cluster", "parts", "process", "pid", "log")
    for cluster in clusters():
        for process in cluster.processes.values():
            pid = str(process.pid or "ended")
            table.add_row(cluster.name, cluster.parts, process.spec.name, pid, str(process.log))
    console.print(table)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        app(standalone_mode=False)
    except ClusterError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
