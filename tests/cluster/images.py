"""The container images that the local cluster runs, built with no image registry.

Each is kept as an OCI archive in the cache, named after a hash of all that goes into it, so what
has not changed is never built again. The Dockerfiles are the ones that everybody uses; only their
base is made here, from Debian's packages.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import image_build as build
from .cache import cache, locked
from .errors import ClusterError

CHECKOUT = Path(__file__).resolve().parents[2]
_BASE_SOURCES = ("tests/cluster/image_build.py",)
_WHEELS = (
    *("requirements/build.txt", "requirements/operator.txt", "requirements/worker.txt"),
    *("examples/line_detection/requirements.txt", "examples/ocr/requirements.txt"),
)
_KEPT = 3  # archives of one image: other checkouts may still use theirs


@dataclass(frozen=True)
class _Recipe:
    """What an image is made of; paths are relative to the checkout."""

    context: str
    dockerfile: str
    sources: tuple[str, ...]
    parent: str = ""
    parent_argument: str = "BASE_IMAGE"


_RECIPES = {
    "pause": _Recipe(
        "tests/cluster/pause", "tests/cluster/pause/Dockerfile", ("tests/cluster/pause",)
    ),
    "operator": _Recipe(
        ".",
        "operator/Dockerfile",
        (
            *(".dockerignore", "operator/Dockerfile", "operator/src", "worker_image"),
            *("pyproject.toml", "README.md", "LICENSE"),
            *("requirements/build.txt", "requirements/operator.txt"),
        ),
        parent="base",
    ),
    "worker": _Recipe(
        ".",
        "worker_image/Dockerfile",
        (".dockerignore", "worker_image", "requirements/build.txt", "requirements/worker.txt"),
        parent="base",
    ),
    "ocr": _Recipe(
        "examples/ocr",
        "examples/ocr/Dockerfile",
        ("examples/ocr",),
        parent="worker",
        parent_argument="WORKER_IMAGE",
    ),
    "lines": _Recipe(
        "examples/line_detection",
        "examples/line_detection/Dockerfile",
        ("examples/line_detection",),
        parent="worker",
        parent_argument="WORKER_IMAGE",
    ),
    "checksums": _Recipe(
        "examples/shell",
        "examples/shell/Dockerfile",
        ("examples/shell",),
        parent="worker",
        parent_argument="WORKER_IMAGE",
    ),
    "archive": _Recipe(
        "examples/bdrc",
        "examples/bdrc/Dockerfile",
        tuple(f"examples/bdrc/{name}" for name in ("Dockerfile", "folders.py", "worker.py")),
        parent="ocr",
        parent_argument="WORKER_IMAGE",
    ),
    "postgres": _Recipe(
        "examples/bdrc/postgres",
        "examples/bdrc/postgres/Dockerfile",
        ("examples/bdrc/postgres",),
        parent="base",
    ),
}
_REFERENCES = {
    "pause": "localhost/pause:1",
    "operator": "localhost/bec-operator:dev",
    "worker": "localhost/bec-worker:dev",
    "ocr": "localhost/bec-ocr:dev",
    "lines": "localhost/bec-line-detection:dev",
    "checksums": "localhost/bec-checksums:dev",
    "archive": "localhost/bec-archive-ocr:dev",
    "postgres": "localhost/bec-postgres:dev",
}
IMAGES = tuple(_RECIPES)


def image_ref(name: str) -> str:
    """Give the name under which a pod asks for an image, one of `IMAGES`."""
    return _REFERENCES[name]


def archive(name: str) -> Path:
    """Give the OCI archive of an image, one of `IMAGES`, building it if the cache lacks it."""
    target = _target(name)
    if not target.exists():
        with locked(cache() / "images" / ".lock"):
            if not target.exists():
                build.save(_stored(name), image_ref(name), target)
                _forget_old(name)
    target.touch()  # the ones used last are kept
    return target


def build_all(report: Callable[[str], None]) -> None:
    """Build whatever the cache lacks; `report` is told of each before it starts."""
    for name in IMAGES:
        if not _target(name).exists():
            report(f"building the image {image_ref(name)}")
        archive(name)


def _target(name: str) -> Path:
    return cache() / "images" / f"{name}-{_key(name)}.tar"


def _key(name: str) -> str:
    """Hash all that goes into an image; the base's packages count by name, not by version."""
    recipe = _RECIPES.get(name)
    content = hashlib.sha256(_key(recipe.parent).encode() if recipe and recipe.parent else b"")
    for file in _files(recipe.sources if recipe else _BASE_SOURCES):
        name_and_size = f"\0{file.relative_to(CHECKOUT)}\0{file.stat().st_size}\0"
        content.update(name_and_size.encode() + file.read_bytes())
    return content.hexdigest()[:16]


def _files(sources: tuple[str, ...]) -> Iterator[Path]:
    for source in sources:
        path = CHECKOUT / source
        if not path.exists():
            raise ClusterError(f"an image is made from {path}, which is missing")
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _stored(name: str) -> str:
    """Give an image's reference in the build's own storage, where it is built if absent."""
    reference = f"localhost/bec-{name}:{_key(name)}"
    if build.is_stored(reference):
        return reference
    if name == "base":
        build.base(reference)
    elif name == "pause":
        build.pause(reference, CHECKOUT / _RECIPES[name].context)
    else:
        recipe = _RECIPES[name]
        build.dockerfile(
            reference,
            CHECKOUT / recipe.context,
            CHECKOUT / recipe.dockerfile,
            arguments={recipe.parent_argument: _stored(recipe.parent)},
            wheels=build.wheels(*(CHECKOUT / file for file in _WHEELS)),
        )
    return reference


def _forget_old(name: str) -> None:
    found = (cache() / "images").glob(f"{name}-*.tar")
    for old in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        old.unlink()
        build.forget(f"localhost/bec-{name}:{old.stem.rpartition('-')[2]}")
