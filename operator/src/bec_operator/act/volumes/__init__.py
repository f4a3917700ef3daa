"""Which volumes a job has: their source, the frozen manifest, versions, messages of a queue."""
