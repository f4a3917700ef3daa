"""The package as the operator and as authors import it."""

import subprocess
import sys

import pytest

import bec_ops


def test_importing_the_package_loads_nothing_else() -> None:
    heavy = "import bec_ops, sys; print({'boto3', 'pydantic', 'urllib3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_all_that_is_named_is_there() -> None:
    assert all(callable(getattr(bec_ops, name)) for name in bec_ops.__all__)
    with pytest.raises(AttributeError, match="no attribute 'get_next_tasks'"):
        bec_ops.get_next_tasks  # noqa: B018
