"""The gateway: workers that are not of the cluster, and the protocols of other systems."""
