"""The whole numbers that ReefGuide's workers know things by, which are stored nowhere.

Each has the index of a volume in its lowest bits, and above it a hash of what else it is of. So
they are the same after a restart. JavaScript knows whole numbers up to 2^53.
"""

import hashlib

_INDEX_BITS = 24  # a Job has at most 10,000,000 volumes
_HASHES = 2**29 - 1

LARGEST = 2**53 - 1


def job_number(job_uid: str, index: int) -> int:
    """Return what a volume of a Job is called in the list of jobs."""
    return hash_of(job_uid) << _INDEX_BITS | index


def assignment_number(task_uid: str, attempt: int, index: int) -> int:
    """Return what an attempt at a volume is called."""
    return hash_of(f"{task_uid} {attempt}") << _INDEX_BITS | index


def index_in(number: int) -> int:
    """Return which volume a number is of."""
    return number & (1 << _INDEX_BITS) - 1


def hash_in(number: int) -> int:
    """Return the hash in a number."""
    return number >> _INDEX_BITS


def hash_of(text: str) -> int:
    """Return a hash of 29 bits, which is never 0: what is 0 is nothing to JavaScript."""
    return 1 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % _HASHES
