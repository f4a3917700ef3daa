"""A real Kubernetes and a real S3 on this machine, for the demo, the tests and the benchmark."""

from .cluster import Cluster, Parts
from .errors import ClusterError
from .process import Process
from .s3 import S3

__all__ = ["S3", "Cluster", "ClusterError", "Parts", "Process"]
