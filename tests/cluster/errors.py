"""What the local cluster raises."""


class ClusterError(Exception):
    """Something about the local cluster is wrong; the message says what, where, and what to do."""
