"""What integration, e2e and scale tests share: the operator's process, played workers, faults."""
