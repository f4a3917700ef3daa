"""What workers and the operator have in common. The operator uses nothing else of `bec_ops`."""
