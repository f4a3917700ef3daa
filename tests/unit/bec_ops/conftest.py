"""What tests of the worker library share."""

from collections.abc import Iterator

import pytest

from tests.support.worker_runs import end_started


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    """See that no worker outlives its test."""
    yield
    end_started()
