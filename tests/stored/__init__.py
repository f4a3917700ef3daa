"""What a release leaves in the cluster and in S3: written once for each, and read ever after.

`tests/fixtures/stored/VERSION` holds it; `tests/unit/test_stored.py` reads it with today's code.
"""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "fixtures" / "stored"
"""A folder of it for each release."""
EXPECTED = "expected.yaml"
"""What is to be read of it."""
EVERY_CODE = "every-code"
"""The Job whose ledger has all that a byte of a ledger can say."""
