"""How an image is built on this machine: mmdebstrap for the base, pip for wheels, buildah for all.

buildah keeps its storage in the cache, so no other container on the machine is touched, and a
build step that has not changed is not run again.
"""

import hashlib
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .cache import cache
from .programs import run_to_end

DEBIAN = "bookworm"
PYTHON = "3.11"  # Debian's own, in that release
_GLIBC = 36  # 2.36, likewise
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")


def base(reference: str) -> None:
    """Build the image that the others stand on: a small Debian with Python."""
    with _scratch() as folder:
        excludes = (f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT)
        include = f"--include={','.join(_PACKAGES)}"
        tar = folder / "base.tar"
        run_to_end("mmdebstrap", "--variant=minbase", include, *excludes, DEBIAN, str(tar))
        (folder / "Dockerfile").write_text(f"FROM scratch\nADD {tar.name} /\n")
        dockerfile(reference, folder, folder / "Dockerfile")


def pause(reference: str, source: Path) -> None:
    """Build the image that holds a pod's namespaces open, from the C program in `source`."""
    with _scratch() as folder:
        compiler = ("cc", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror")
        run_to_end(*compiler, "-o", str(folder / "pause"), str(source / "pause.c"))
        dockerfile(reference, folder, source / "Dockerfile")


def dockerfile(
    reference: str,
    context: Path,
    file: Path,
    arguments: Mapping[str, str] | None = None,
    wheels: Path | None = None,
) -> None:
    """Build a Dockerfile; with a folder of wheels, pip inside takes packages from there alone."""
    options = [f"--build-arg={key}={value}" for key, value in (arguments or {}).items()]
    if wheels is not None:
        pip = ("--build-arg=PIP_NO_INDEX=1", "--build-arg=PIP_FIND_LINKS=/mnt")
        options += [f"--volume={wheels}:/mnt:ro", *pip]
    _buildah(
        *("build", "--isolation=chroot", "--layers", "--pull=never", *options),
        *("--tag", reference, "--file", str(file), str(context)),
    )


def wheels(*requirements: Path) -> Path:
    """Give a folder with the wheels of these pinned requirements, for the Python in the image."""
    content = hashlib.sha256(b"\0".join(file.read_bytes() for file in requirements))
    target = cache() / "wheels" / f"{PYTHON}-{content.hexdigest()[:16]}"
    if not target.exists():
        with _scratch() as folder:
            machine = platform.machine()
            tags = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC, 16, -1)]
            tags.append(f"manylinux2014_{machine}")
            run_to_end(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--require-hashes", "--only-binary=:all:", f"--python-version={PYTHON}"),
                *("--implementation=cp", f"--abi=cp{PYTHON.replace('.', '')}"),
                *("--abi=abi3", "--abi=none", *(f"--platform={tag}" for tag in tags)),
                *("--dest", str(folder), *(f"--requirement={file}" for file in requirements)),
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
    return target


def is_stored(reference: str) -> bool:
    """Tell whether the build's own storage has this image."""
    return bool(_buildah("images", "--quiet", "--filter", f"reference={reference}").strip())


def save(reference: str, name: str, target: Path) -> None:
    """Write a stored image to an OCI archive in which it is called `name`."""
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    _buildah("push", "--compression-format=zstd", reference, f"oci-archive:{draft}:{name}")
    draft.replace(target)


def forget(reference: str) -> None:
    """Remove an image from the storage, if it is there, with the steps that only it had."""
    if is_stored(reference):
        _buildah("rmi", reference)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give an empty folder for one build, in the cache: /tmp may be too small for a base."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".build-") as folder:
        yield Path(folder)


def _buildah(*arguments: str) -> str:
    storage = cache() / "buildah"
    roots = (f"--root={storage / 'root'}", f"--runroot={storage / 'run'}")
    # Else the folder of the layers stays mounted on itself.
    unmounted = ("--storage-driver=overlay", "--storage-opt=overlay.skip_mount_home=true")
    return run_to_end("buildah", *roots, *unmounted, *arguments)
